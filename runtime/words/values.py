"""LLVM vectors that read like numbers: the ground on which every word of the vocabulary stands.

A `Value` is one vector in the function that a builder is writing, with as many elements as the
machine's registers have lanes.  Its operators append one instruction each and never anything else:
no reassociation, no contraction, no fast-math flag.  This file knows LLVM's IR only, never Numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from .machine import machine

Node = Any
"""A value of llvmlite's IR layer, which has no types of its own."""

KINDS: dict[str, Any] = {
    "f32": ir.FloatType(),
    "f64": ir.DoubleType(),
    "i32": ir.IntType(32),
    "i64": ir.IntType(64),
    "u32": ir.IntType(32),
    "b1": ir.IntType(1),
}
"""Kinds of lanes, each with the LLVM type of one lane."""

FLOATS = ("f32", "f64")
BITS = {"f32": "i32", "f64": "i64"}
"""The integer kind as wide as a float kind."""

_COMPARE = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}


def vector(kind: str) -> Any:
    """The LLVM type of a vector of that kind."""
    return ir.VectorType(KINDS[kind], machine().width)


class Splat(ir.Constant):  # type: ignore[misc]  # llvmlite has no types
    """A constant with equal lanes, written short: sixteen are slow to print and to parse."""

    def __init__(self, kind: str, number: float) -> None:
        super().__init__(vector(kind), [KINDS[kind](0)] * machine().width)
        self._text = f"splat ({KINDS[kind](number)})"

    def _get_reference(self) -> str:
        return self._text


class Value:
    """One vector of equal-kind lanes, at the point where `builder` writes."""

    __slots__ = ("builder", "kind", "node")

    def __init__(self, builder: Any, node: Node, kind: str) -> None:
        self.builder, self.node, self.kind = builder, node, kind

    def like(self, node: Node, kind: str | None = None) -> Value:
        """Wrap another node of the same builder."""
        return Value(self.builder, node, kind or self.kind)

    def number(self, number: float, kind: str | None = None) -> Value:
        """A constant in every lane, of this kind unless told."""
        kind = kind or self.kind
        cast = float if kind in FLOATS else int
        return self.like(Splat(kind, cast(number)), kind)

    def _other(self, other: Value | float) -> Value:
        return other if isinstance(other, Value) else self.number(other)

    def _binary(self, of_floats: str, of_ints: str, other: Value | float) -> Value:
        name = of_floats if self.kind in FLOATS else of_ints
        return self.like(getattr(self.builder, name)(self.node, self._other(other).node))

    def __add__(self, other: Value | float) -> Value:
        return self._binary("fadd", "add", other)

    __radd__ = __add__

    def __sub__(self, other: Value | float) -> Value:
        return self._binary("fsub", "sub", other)

    def __rsub__(self, other: float) -> Value:
        return self.number(other) - self

    def __mul__(self, other: Value | float) -> Value:
        return self._binary("fmul", "mul", other)

    __rmul__ = __mul__

    def __truediv__(self, other: Value | float) -> Value:
        return self._binary("fdiv", "", other)

    def __rtruediv__(self, other: float) -> Value:
        return self.number(other) / self

    def __and__(self, other: Value | float) -> Value:
        return self._binary("", "and_", other)

    def __or__(self, other: Value | float) -> Value:
        return self._binary("", "or_", other)

    def __xor__(self, other: Value | float) -> Value:
        return self._binary("", "xor", other)

    def __lshift__(self, other: Value | float) -> Value:
        return self._binary("", "shl", other)

    def __rshift__(self, other: Value | float) -> Value:
        return self._binary("", "lshr" if self.kind == "u32" else "ashr", other)

    def __invert__(self) -> Value:
        return self.like(self.builder.not_(self.node))

    def __neg__(self) -> Value:
        return self.like(getattr(self.builder, "fneg" if self.kind in FLOATS else "neg")(self.node))

    def compare(self, sign: str, other: Value | float) -> Value:
        """IEEE comparison: with a NaN only `!=` is true."""
        right = self._other(other).node
        if self.kind not in FLOATS:
            signed = "unsigned" if self.kind in ("u32", "b1") else "signed"
            node = getattr(self.builder, "icmp_" + signed)(sign, self.node, right)
        elif sign == "!=":
            node = self.builder.fcmp_unordered(sign, self.node, right)
        else:
            node = self.builder.fcmp_ordered(sign, self.node, right)
        return self.like(node, "b1")

    def __lt__(self, other: Value | float) -> Value:
        return self.compare("<", other)

    def __le__(self, other: Value | float) -> Value:
        return self.compare("<=", other)

    def __gt__(self, other: Value | float) -> Value:
        return self.compare(">", other)

    def __ge__(self, other: Value | float) -> Value:
        return self.compare(">=", other)

    def equals(self, other: Value | float) -> Value:
        """Lanes that are equal (`==` is left to Python)."""
        return self.compare("==", other)

    def is_nan(self) -> Value:
        """Lanes that hold no number."""
        return self.like(self.builder.fcmp_unordered("uno", self.node, self.node), "b1")

    def bitcast(self, kind: str) -> Value:
        """The same bits as another kind of the same width."""
        return self.like(self.builder.bitcast(self.node, vector(kind)), kind)


def select(mask: Value, yes: Value | float, no: Value | float) -> Value:
    """Lanes of `yes` where the mask is set, of `no` elsewhere; one of the two may be a number."""
    model = yes if isinstance(yes, Value) else no
    if not isinstance(model, Value):
        raise TypeError("select needs a vector on one side")
    yes = yes if isinstance(yes, Value) else model.number(yes)
    no = no if isinstance(no, Value) else model.number(no)
    return model.like(model.builder.select(mask.node, yes.node, no.node))


def intrinsic(name: str, *args: Value) -> Value:
    """LLVM's vector intrinsic of that name, from equal kinds to the same kind."""
    first = args[0]
    kind = first.kind.replace("u", "i")
    full = f"llvm.{name}.v{machine().width}{kind}"
    return first.like(call(first.builder, full, first.node.type, *(a.node for a in args)))


def call(builder: Any, name: str, result: Any, *args: Node) -> Node:
    """Call an external function, declaring it where the module does not know it."""
    function = builder.module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(result, [a.type for a in args])
        function = ir.Function(builder.module, kind, name)
    return builder.call(function, args)


def fma(x: Value, y: Value | float, z: Value | float) -> Value:
    """X * y + z, rounded once."""
    return intrinsic("fma", x, x._other(y), x._other(z))


def polynomial(x: Value, coefficients: tuple[float, ...]) -> Value:
    """Horner's rule; coefficients from the constant up."""
    total = x.number(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = fma(total, x, coefficient)
    return total


def outlined(emit: Callable[..., Value], *args: Value, result: str | None = None) -> Value:
    """Emit `emit(*args)` as a function of the module, once, and call it.

    LLVM inlines every call; writing the body once per module instead of once per use keeps short
    the text that llvmlite has to print and LLVM to parse.  The result has the kind of the first
    argument unless told.
    """
    builder, kind = args[0].builder, result or args[0].kind
    name = "diagrad." + ".".join([emit.__name__, *(a.kind for a in args)])
    function = builder.module.globals.get(name)
    if function is None:
        signature = ir.FunctionType(vector(kind), [a.node.type for a in args])
        function = ir.Function(builder.module, signature, name)
        function.linkage = "internal"
        function.attributes.add("alwaysinline")
        inner = ir.IRBuilder(function.append_basic_block("entry"))
        made = emit(*(Value(inner, n, a.kind) for n, a in zip(function.args, args, strict=True)))
        made.builder.ret(made.node)
    return args[0].like(builder.call(function, [a.node for a in args]), kind)
