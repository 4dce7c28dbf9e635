"""Primitives of linear algebra: functions of whole matrices, one for each matrix of a batch."""
