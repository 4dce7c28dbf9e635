"""Algebra, constants, common subexpressions and dead code."""
