"""The compiler: pure passes from a graph to a program. No files, no devices, no Numba."""
