"""Loops as a user draws them: what goes in and out, how it is wired, masked and checked."""
