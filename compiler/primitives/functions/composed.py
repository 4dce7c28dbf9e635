"""The primitive of a function that is composed of others: its value is, its derivative is not.

    %3 = composed(%2, %0; of=atan)      %2, which is atan of %0, with the derivative 1 / (1 + %0 %0)

The value is a formula of primitives, which none differentiates; `Function.slopes` says what its
derivatives are, in terms of the value and the operands, and these are differentiated again.  Where
no gradient flows any more, `simplify` leaves the formula alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import DtypeRuleError
from ...graph import Node, Type
from ..batch import elementwise
from ..record import Attrs, Builder, Primitive
from .formula import Formula


@dataclass(frozen=True)
class Function:
    """A function of floats.

    Attributes:
        value: a formula of its operands, float64.
        slopes: of its value and operands, the derivative by each operand.
    """

    value: Callable[..., Formula]
    slopes: Callable[..., tuple[Formula, ...]]


FUNCTIONS: dict[str, Function] = {}
"""By name, filled by `table.py`."""


def compose(of: str, *operands: Formula, **options: Any) -> Formula:
    """A function of formulas of one shape and dtype; computed in float64 for float32, too."""
    b, dtype = operands[0].b, operands[0].node.dtype
    if not operands[0].node.type.is_float:
        raise DtypeRuleError(f"expects floats, not {dtype}: convert with .astype(dg.float32)")
    wide = [Formula(b, b.cast(item.node, dtype="float64")) for item in operands]
    exact = wide if dtype != "float64" else operands
    value = FUNCTIONS[of].value(*exact, **options).node
    value = value if dtype == "float64" else b.cast(value, dtype=dtype)
    nodes = (value, *(item.node for item in operands))
    return Formula(b, b.apply("composed", *nodes, of=of, **options))


def _infer(types: Sequence[Type], attrs: Attrs) -> Type:
    return types[0]


def _vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    options = {name: value for name, value in n.attrs.items() if name != "of"}
    operands = [Formula(b, item) for item in n.inputs[1:]]
    slopes = FUNCTIONS[n.attrs["of"]].slopes(Formula(b, n), *operands, **options)
    return None, *(b.mul(g, slope.node) for slope in slopes)


PRIMITIVES = (
    Primitive(
        name="composed",
        kind="elementwise",
        infer=_infer,
        reference=lambda result, attrs, value, *operands: value,
        vjp=_vjp,
        emit="{0}",
        batch=elementwise,
    ),
)
