"""The dtype that NumPy does not have: arrays of bfloat16 are those of the package ml_dtypes."""

from __future__ import annotations

from importlib import import_module

from ..errors import DtypeError


def register_bfloat16(subject: str) -> None:
    """Let NumPy know bfloat16; DtypeError, said of `subject`, where ml_dtypes is not installed."""
    try:
        import_module("ml_dtypes")
    except ImportError:
        raise DtypeError(
            f"{subject} expects a dtype that NumPy knows, got bfloat16, whose arrays are those of "
            "ml_dtypes: pip install ml_dtypes"
        ) from None
