"""The mistakes that the compiler can find. Which block and line made them the frontend says."""

from __future__ import annotations


class TypeRuleError(Exception):
    """A primitive was given types that it cannot take; the text says what it expects."""


class DtypeRuleError(TypeRuleError):
    """A primitive was given a dtype that it cannot take."""


class InvalidGraphError(Exception):
    """A pass made a graph that breaks a rule of the representation: a fault of the compiler."""
