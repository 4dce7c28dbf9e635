"""Multiplicative modules: products of inputs, weights that inputs compute, switches, experts."""
