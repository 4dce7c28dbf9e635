"""Elements in other places: repeated, rolled, padded; parts of an array; parts of a matrix."""
