"""Attention, and the blocks of the Transformer, which are built of it."""
