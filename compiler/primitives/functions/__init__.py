"""Functions that are composed of primitives for their values, and have derivatives of their own."""
