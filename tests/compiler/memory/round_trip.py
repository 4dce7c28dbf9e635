"""That a template and its interface are the same after they were written and read."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from diagrad.compiler.graph import Node
from diagrad.compiler.graphs.interface import Interface
from diagrad.compiler.memory.written import from_bytes, to_bytes
from diagrad.compiler.scheduling.template import Template


def assert_same(one: Any, other: Any) -> None:
    """Equal field by field and type by type; nodes by what they compute, arrays by their bytes."""
    assert type(one) is type(other), (one, other)
    if isinstance(one, Node):
        assert one.op == other.op and one.attrs.keys() == other.attrs.keys()
        assert_same((one.type, one.inputs), (other.type, other.inputs))
        assert_same(tuple(one.attrs.values()), tuple(other.attrs.values()))
    elif isinstance(one, np.ndarray):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    elif is_dataclass(one):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    else:
        assert one == other


def read_again(
    interface: Interface, template: Template, known: Sequence[Any] = ()
) -> tuple[Interface, Template]:
    """Both as they are read, after a check that they are the same and are written the same."""
    held = to_bytes(interface, template, known)
    found = from_bytes(held, known)
    assert_same(found, (interface, template))
    assert to_bytes(*found, known) == held
    return found
