"""Linear algebra: systems of equations, factors of matrices, and functions of matrices."""
