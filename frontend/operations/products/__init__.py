"""Products of arrays that are named in linear algebra, and lengths of vectors and matrices."""
