"""Arrays of the standard, each with the values of an expression that was drawn and run."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .dtypes import DTYPES, kind_of, promoted
from .evaluation import Values, evaluated

Scalar = bool | int | float


class Array:
    """An array that stays as it is: what changes elements in place is left out."""

    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 1000

    def __init__(self, values: Values) -> None:
        if values.dtype not in DTYPES.values():
            raise TypeError(f"expected one of {', '.join(DTYPES)}, got {values.dtype}")
        self._values = np.asarray(values)

    def __array__(self, *options: Any, **more: Any) -> Values:
        return np.array(self._values, *options, **more)

    def __repr__(self) -> str:
        return f"Array({self._values!r})"

    @property
    def dtype(self) -> Any:
        """Of its elements."""
        return self._values.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return self._values.shape

    @property
    def ndim(self) -> int:
        """How many axes."""
        return self._values.ndim

    @property
    def size(self) -> int:
        """How many elements."""
        return int(self._values.size)

    @property
    def device(self) -> str:
        """The host."""
        return "cpu"

    @property
    def T(self) -> Any:  # noqa: N802
        """A matrix, turned."""
        if self.ndim != 2:
            raise ValueError(f"expected two axes, got {self.ndim}")
        return draw(lambda x: x.T, self)

    @property
    def mT(self) -> Any:  # noqa: N802
        """Matrices, each turned."""
        return draw(lambda x: x.mT, self)

    def to_device(self, device: Any, /, *, stream: Any = None) -> Array:
        """There is one."""
        if device != "cpu":
            raise ValueError(f'expected "cpu", got {device!r}')
        return self

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Any:
        import tests.array_api

        return tests.array_api

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: Any = None,
        dl_device: Any = None,
        copy: bool | None = None,
    ) -> Any:
        return self._values.__dlpack__(
            stream=stream, max_version=max_version, dl_device=dl_device, copy=copy
        )

    def __dlpack_device__(self) -> Any:
        return self._values.__dlpack_device__()

    def __bool__(self) -> bool:
        return bool(self._scalar())

    def __int__(self) -> int:
        return int(self._scalar())

    def __float__(self) -> float:
        return float(self._scalar())

    def __complex__(self) -> complex:
        return complex(self._scalar())

    def __index__(self) -> int:
        return operator.index(self._scalar())

    def _scalar(self) -> Any:
        if self.shape != ():
            raise TypeError(f"expected an array of shape (), got {self.shape}")
        return self._values[()]

    def __getitem__(self, key: Any, /) -> Any:
        items = tuple(map(_bounded, key if isinstance(key, tuple) else (key,)))
        held = [item for item in items if isinstance(item, Array)]

        def element(x: Any, *indices: Any) -> Any:
            given = iter(indices)
            return x[tuple(next(given) if isinstance(item, Array) else item for item in items)]

        return draw(element, self, *held)

    def __abs__(self) -> Any:
        return draw(abs, self)

    def __invert__(self) -> Any:
        return draw(operator.invert, self)

    def __neg__(self) -> Any:
        return draw(operator.neg, self)

    def __pos__(self) -> Any:
        return draw(operator.pos, self)


def _bounded(item: Any) -> Any:
    """A slice whose bounds are integers."""
    if not isinstance(item, slice):
        return item
    bounds = item.start, item.stop, item.step
    return slice(*(None if bound is None else operator.index(bound) for bound in bounds))


def draw(function: Callable[..., Any], *arrays: Array) -> Any:
    """What a function of variables comes to: an array, or a list of some."""
    found = evaluated(function, *(array._values for array in arrays))
    return [Array(item) for item in found] if isinstance(found, list) else Array(found)


def draw_alike(function: Callable[..., Any], *operands: Array | Scalar) -> Array:
    """What a function of operands of one kind comes to; arrays are cast to one dtype."""
    arrays = [item for item in operands if isinstance(item, Array)]
    wanted = promoted([array.dtype for array in arrays])
    for item in operands:
        if not isinstance(item, Array) and not _stands_beside(item, kind_of(wanted)):
            raise TypeError(f"expected a number that {wanted} holds, got {item!r}")

    def drawn(*variables: Any) -> Any:
        cast = iter(alike(arrays)(variables))
        return function(*(next(cast) if isinstance(item, Array) else item for item in operands))

    result: Array = draw(drawn, *arrays)
    return result


def alike(arrays: Sequence[Array]) -> Callable[[Sequence[Any]], list[Any]]:
    """A cast of variables to what they come to together."""
    wanted = promoted([array.dtype for array in arrays]).name
    return lambda variables: [v if v.dtype == wanted else v.astype(wanted) for v in variables]


def _stands_beside(number: Any, kind: str) -> bool:
    allowed: dict[str, tuple[type, ...]] = {
        "bool": (bool,),
        "integral": (bool, int),
        "real floating": (bool, int, float),
    }
    return isinstance(number, allowed[kind])


def _add_operators() -> None:
    signs = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor",
             "lshift", "rshift", "matmul")  # fmt: skip
    compared = ("eq", "ne", "lt", "le", "gt", "ge")
    for name in (*signs, *compared):
        function = getattr(operator, f"__{name}__")
        forward, backward = _methods(function)
        setattr(Array, f"__{name}__", forward)
        if name in signs:
            setattr(Array, f"__r{name}__", backward)


def _methods(function: Callable[..., Any]) -> tuple[Any, Any]:
    def forward(self: Array, other: Any, /) -> Any:
        if not isinstance(other, (Array, bool, int, float)):
            return NotImplemented
        return draw_alike(function, self, other)

    def backward(self: Array, other: Any, /) -> Any:
        if not isinstance(other, (Array, bool, int, float)):
            return NotImplemented
        return draw_alike(function, other, self)

    return forward, backward


_add_operators()
