"""Arrays that are made of numbers and sizes."""
