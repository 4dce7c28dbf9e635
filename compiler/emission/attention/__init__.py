"""Kernels of attention: in blocks of queries and keys, of one query, and the way back."""
