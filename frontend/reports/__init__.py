"""What is told of a diagram or a program in text and tables."""
