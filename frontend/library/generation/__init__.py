"""Sequences that a model goes on with by itself, symbol by symbol."""
