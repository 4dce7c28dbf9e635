"""Convolutions on variables: what padding means, the sizes that follow, and the operations."""
