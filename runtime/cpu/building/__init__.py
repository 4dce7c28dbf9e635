"""From text to linked object code, and its cache."""
