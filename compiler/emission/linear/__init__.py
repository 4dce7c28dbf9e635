"""The kernels of linear algebra: a matrix of the batch after another, in memory of the worker."""
