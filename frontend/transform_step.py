"""A step of gradient descent through w = H(u), as it is for u and as it is for w.

    u <- u - eta (dH/du)' (dC/dw)'
    w <- w - eta (dH/du) (dH/du)' (dC/dw)'

The second is what the first does to w, to first order in eta (LeCun, lecture on parameter
transforms): the two differ by the curvature of H, and not at all where H is linear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .arguments import number, wrong
from .diagram import Diagram
from .drawing.blocks import Block, FunctionBlock
from .drawing.derivatives import gradient
from .errors import DiagramError, ShapeError
from .location import user_location
from .operations.elementwise import stop_gradient
from .operations.random import KEY
from .operations.reductions import sum as total
from .operations.source import fill
from .variables.dependencies import captured_by, ordered
from .variables.variable import Variable, shape_text, source_text


@dataclass(frozen=True)
class TransformStep:
    """Both rules of a step, each a diagram with the cost C(H(u)).

    Attributes:
        of_parameters: u <- u - eta (dH/du)' (dC/dw)', with the outputs "w", which is H(u), and
            "u_next".  Compiled with `dg.SGD(eta)`, its training step is this rule.
        of_weights: w <- w - eta (dH/du) (dH/du)' (dC/dw)', with the outputs "w" and "w_next".
    """

    of_parameters: Diagram
    of_weights: Diagram


class _Bullet(FunctionBlock[Any]):
    """A function with another name than its own; the symbol is what its bullet says, if any."""

    def __init__(self, function: Callable[..., Any], name: str, symbol: str = "") -> None:
        super().__init__(function)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "symbol", symbol)

    name: str
    symbol: str

    def _describe(self) -> str:
        """The name, not that of the function."""
        return self.name


def transform_step(
    u: Variable,
    H: Callable[[Variable], Variable],  # noqa: N803 (the lecture's letter)
    cost: Callable[[Variable], Variable],
    learning_rate: float | Variable = 0.1,
) -> TransformStep:
    """Both rules of a gradient step for weights that are computed, w = H(u), and a cost C(w).

    Products with dH/du and its transpose are derivatives of derivatives (dH/du itself is never
    made): (dH/du)' g is the gradient of <H(u), g> by u; and (dH/du) v that of <(dH/du)' s, v> by s.

    Args:
        u: the parameter, of any shape.
        H: a block or a function of u that gives w, a float variable of any shape.
        cost: a block or a function of w that gives a scalar; like H it may use other variables,
            observed ones for instance.
        learning_rate: eta, a number or a variable of shape ().

    Returns:
        Two diagrams, to be rendered, compiled and run.

    Raises:
        TypeError: u is no variable; H or cost gives none.
        ShapeError: the cost or the learning rate is no scalar.
        DiagramError: H does not depend on u, or makes parameters, observed variables or random
            numbers of its own.
    """
    subject = f"transform_step ({user_location()})"
    if not isinstance(u, Variable):
        raise TypeError(f"{subject} expects a variable u first, got {type(u).__name__}")
    if not isinstance(learning_rate, Variable):
        learning_rate = number(subject, "learning_rate", learning_rate)
    else:
        _expect_scalar(f"{subject} expects a learning rate", learning_rate)
    block = _as_block(subject, "H", H, "H")
    w = _given(subject, "H", block(u))
    _check_transform(subject, w, u)
    w.name = "w"
    c = _given(subject, "cost", _as_block(subject, "cost", cost, "C")(w))
    _expect_scalar(f"{subject} expects a cost", c, ": take its mean or sum")

    def transposed_product(u: Variable, g: Variable) -> Variable:
        return gradient(total(block(u) * stop_gradient(g)), u)

    def product(u: Variable, v: Variable) -> Variable:
        w = block(u)
        s = fill(0.0, w.shape, w.dtype)
        back = gradient(total(w * s), u)
        return gradient(total(back * stop_gradient(v)), s)

    name = u.name or "u"
    jacobian = f"∂H/∂{name}"
    by_w = _named("∂w", gradient(c, w))
    back = _Bullet(transposed_product, "transposed_product", f"{jacobian}′")
    by_u = _named(f"∂{name}", back(u, by_w))
    along = _named(f"{jacobian} ∂{name}", _Bullet(product, "product", jacobian)(u, by_u))
    u_next = _moved(name, u, by_u, learning_rate)
    w_next = _moved("w", w, along, learning_rate)
    of_parameters = f"{name} ← {name} − η {jacobian}′ ∂C/∂w′"
    of_weights = f"w ← w − η {jacobian} {jacobian}′ ∂C/∂w′"
    return TransformStep(
        Diagram(of_parameters, {"w": w, "u_next": u_next}, cost=c),
        Diagram(of_weights, {"w": w, "w_next": w_next}, cost=c),
    )


def _moved(name: str, start: Variable, along: Variable, rate: float | Variable) -> Variable:
    """A step against a gradient."""
    eta = rate.name or "η" if isinstance(rate, Variable) else f"{rate:g}"

    def step(start: Variable, along: Variable, rate: float | Variable) -> Variable:
        return start - rate * along

    moved: Variable = _Bullet(step, "step", f"{name} − {eta} {along.name}")(start, along, rate)
    return moved


def _named(name: str, variable: Variable) -> Variable:
    variable.name = name
    return variable


def _as_block(subject: str, what: str, function: Any, name: str) -> Block:
    """A block as it is, another function as a bullet of that name."""
    if isinstance(function, type) or not callable(function):
        raise wrong(subject, f"{what} to be a block or a function", function)
    return function if isinstance(function, Block) else _Bullet(function, name)


def _given(subject: str, what: str, result: Any) -> Variable:
    """What a function of the user has given, which must be one variable."""
    if not isinstance(result, Variable):
        raise TypeError(
            f"{subject} expects {what} to give one variable, got {type(result).__name__}"
        )
    return result


def _check_transform(subject: str, w: Variable, u: Variable) -> None:
    """DiagramError unless H uses u and is the same function whenever it is applied."""
    body = w.producer.body if w.producer is not None else None
    if body is None:  # a mistake within H, which w carries
        return
    if {u, *body.ports}.isdisjoint(ordered(body.outputs, {})):
        raise DiagramError(
            f"{subject} expects H(u) to depend on {source_text(u)}, got one from {source_text(w)} "
            "that does not: compute it from the argument of H"
        )
    made = [v for v in captured_by(body) if v is KEY or v.serial >= body.first]
    if made:
        what = "random numbers" if made[0] is KEY else source_text(made[0])
        raise DiagramError(
            f"{subject} expects H to be one function, got {source_text(w)} with {what} made anew "
            "each time that it is applied: make it before, and use it in H"
        )


def _expect_scalar(expected: str, variable: Variable, remedy: str = "") -> None:
    if variable.shape != ():
        raise ShapeError(
            f"{expected} of shape (), got {shape_text(variable.shape)} from "
            f"{source_text(variable)}{remedy}"
        )
