"""What a loop need not compute step by step leaves it."""
