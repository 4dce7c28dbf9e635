"""Scoring sequences: weighted finite-state machines over lattices of scores."""
