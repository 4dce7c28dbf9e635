"""Variables, what makes them, and what is known of them when they are drawn."""
