"""Sizes become integers, and temporaries get their places: the program."""
