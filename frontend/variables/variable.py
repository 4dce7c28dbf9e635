"""Variables and the applications of functions that compute them: what a diagram is made of.

A variable knows the application that makes it, an application knows its inputs; there is no
global graph.  A mistake does not stop the drawing: it makes a variable that carries the mistake,
so that a diagram can report independent mistakes together when it is built.
"""

from __future__ import annotations

import itertools
import operator
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ...compiler.dtypes import COMPUTED
from ...compiler.graph import Node, Type
from ...compiler.sizes import Dim, Size, named
from ..arguments import shown
from ..errors import DiagramError, DtypeError, ShapeError
from ..location import user_location
from .bfloat16 import register_bfloat16
from .block_base import BlockBase
from .samples import Samples

Kind = Literal["observed", "parameter", "state", "constant", "computed", "port"]
Shape = Sequence[int | str | Dim]
Rule = Callable[..., "Node | tuple[Node, ...]"]

DTYPES = ("float32", "float64", "int32", "int64", "uint32", "bool", *COMPUTED)

_serial = itertools.count()


class Variable:
    """A variable of a diagram: observed, computed, constant, or a parameter.

    Attributes:
        name: the user's name for it, or None.
        shape: a tuple of integers and named sizes.
        dtype: NumPy's name of the dtype, such as "float32".
        where: the user's file:line that made it.
    """

    # As in NumPy, == compares elements; two variables are the same if one `is` the other, and that
    # is what counts in sets and dicts: Python asks for identity there before it compares.
    __hash__ = object.__hash__

    def __init__(
        self,
        kind: Kind,
        type: Type | None,
        name: str | None = None,
        producer: Application | None = None,
        index: int = 0,
        value: npt.NDArray[Any] | None = None,
        init: Any = None,
        mistakes: tuple[DiagramError, ...] = (),
    ) -> None:
        self.kind = kind
        self.name = name
        self.producer = producer
        self.index = index
        self.value = value
        self.init = init
        self.mistakes = mistakes
        self.where = user_location()
        self.serial = new_serial()
        self.owner: BlockBase | None = None
        self.source: Variable | None = None  # of a port: the variable that enters there
        self.exact: npt.NDArray[Any] | None = None  # of a constant: what its dtype has rounded
        self.weak = ""  # the kinds of dtypes (f, i) that it may adopt: nobody has stated its own
        self.restate: Callable[[str], Variable] | None = None  # draws it in one of those
        self.following: Variable | None = None  # of a state: its value after a step
        self.is_average = False  # of a state: whether samples' values of it have a mean
        self.stays = False  # of a state: whether it keeps its value where nothing updates it
        self.updated: list[Variable] = []  # the states whose next values are made from this one
        self.bound_to: Variable | None = None  # of a parameter: what `dg.bind` has put in its place
        self.free_in: str | None = None  # of a parameter: the first diagram in which it is free
        self.frozen = False  # of a parameter: whether no training step changes it
        self.is_read = False  # whether anything has been drawn that uses it
        self._type = type

    @property
    def type(self) -> Type:
        """Dtype and shape; raises the mistake where one makes them unknown."""
        if self._type is None:
            raise self.mistakes[0]
        return self._type

    @property
    def shape(self) -> tuple[Dim, ...]:
        """The shape, named sizes as symbols."""
        return self.type.shape

    @property
    def dtype(self) -> str:
        """NumPy's name of the dtype."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.type.rank

    def __repr__(self) -> str:
        known = self._type
        text = "unknown" if known is None else f"{known.dtype} {shape_text(known.shape)}"
        if self.mistakes:
            more = f", and {len(self.mistakes) - 1} more" if len(self.mistakes) > 1 else ""
            text = f"mistake: {self.mistakes[0]}{more}"
        return f"<{source_text(self)}: {text}>"

    def __len__(self) -> int:
        if not self.shape or not isinstance(self.shape[0], int):
            raise TypeError(
                f"{source_text(self)} of shape {shape_text(self.shape)} cannot be counted, it has "
                "no fixed length: use functions over its first axis, such as dg.sum(x, axis=0), "
                "not a loop"
            )
        return self.shape[0]

    def __iter__(self) -> Iterator[Variable]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        raise TypeError(
            f"{_no_value(self)}: use dg.where(condition, a, b) instead of `if`; &, | and ~ instead "
            "of `and`, `or` and `not`; dg.maximum and dg.minimum instead of max and min; and `is` "
            "to ask whether it is the same variable"
        )

    def __format__(self, spec: str) -> str:
        if spec:
            raise TypeError(f"{_no_value(self)}: make it an output, and format what a run gives")
        return repr(self)

    def __copy__(self) -> Variable:
        """Itself: a variable never changes."""
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            f"{source_text(self)} cannot be pickled or sent to another process: draw the diagram "
            "there, and send arrays, as in program.parameters"
        )

    def _number(self) -> Any:
        raise TypeError(
            f"{_no_value(self)}: make it an output, and run a program for it; functions of it are "
            "those of diagrad, as dg.sin for math.sin"
        )

    __float__ = __int__ = __index__ = __complex__ = _number

    def __array__(self, *options: Any, **more: Any) -> npt.NDArray[Any]:
        raise TypeError(f"{_no_value(self)}: use the functions of diagrad on it, not NumPy's")

    if TYPE_CHECKING:  # the operators are attached by `operators.py`

        def __getitem__(self, key: Any) -> Variable: ...
        def __add__(self, other: Any) -> Variable: ...
        def __radd__(self, other: Any) -> Variable: ...
        def __sub__(self, other: Any) -> Variable: ...
        def __rsub__(self, other: Any) -> Variable: ...
        def __mul__(self, other: Any) -> Variable: ...
        def __rmul__(self, other: Any) -> Variable: ...
        def __truediv__(self, other: Any) -> Variable: ...
        def __rtruediv__(self, other: Any) -> Variable: ...
        def __trunc__(self) -> Variable: ...
        def __round__(self, digits: int | None = None) -> Variable: ...
        def __floordiv__(self, other: Any) -> Variable: ...
        def __rfloordiv__(self, other: Any) -> Variable: ...
        def __mod__(self, other: Any) -> Variable: ...
        def __rmod__(self, other: Any) -> Variable: ...
        def __divmod__(self, other: Any) -> tuple[Variable, Variable]: ...
        def __rdivmod__(self, other: Any) -> tuple[Variable, Variable]: ...
        def __lshift__(self, other: Any) -> Variable: ...
        def __rlshift__(self, other: Any) -> Variable: ...
        def __rshift__(self, other: Any) -> Variable: ...
        def __rrshift__(self, other: Any) -> Variable: ...
        def __pow__(self, other: Any) -> Variable: ...
        def __rpow__(self, other: Any) -> Variable: ...
        def __matmul__(self, other: Any) -> Variable: ...
        def __rmatmul__(self, other: Any) -> Variable: ...
        def __neg__(self) -> Variable: ...
        def __abs__(self) -> Variable: ...
        def __invert__(self) -> Variable: ...
        def __pos__(self) -> Variable: ...
        def __and__(self, other: Any) -> Variable: ...
        def __rand__(self, other: Any) -> Variable: ...
        def __or__(self, other: Any) -> Variable: ...
        def __ror__(self, other: Any) -> Variable: ...
        def __xor__(self, other: Any) -> Variable: ...
        def __rxor__(self, other: Any) -> Variable: ...
        def __eq__(self, other: object) -> Variable: ...  # type: ignore[override]
        def __ne__(self, other: object) -> Variable: ...  # type: ignore[override]
        def __lt__(self, other: Any) -> Variable: ...
        def __le__(self, other: Any) -> Variable: ...
        def __gt__(self, other: Any) -> Variable: ...
        def __ge__(self, other: Any) -> Variable: ...

        T: Variable
        sum: Callable[..., Variable]
        mean: Callable[..., Variable]
        max: Callable[..., Variable]
        min: Callable[..., Variable]
        std: Callable[..., Variable]
        any: Callable[..., Variable]
        all: Callable[..., Variable]
        clip: Callable[..., Variable]
        round: Callable[..., Variable]
        mT: Variable  # noqa: N815 (NumPy's name)
        argmax: Callable[..., Variable]
        argmin: Callable[..., Variable]
        argsort: Callable[..., Variable]
        cumprod: Callable[..., Variable]
        cumsum: Callable[..., Variable]
        diagonal: Callable[..., Variable]
        flatten: Callable[..., Variable]
        ravel: Callable[..., Variable]
        prod: Callable[..., Variable]
        repeat: Callable[..., Variable]
        squeeze: Callable[..., Variable]
        swapaxes: Callable[..., Variable]
        take: Callable[..., Variable]
        trace: Callable[..., Variable]
        var: Callable[..., Variable]
        reshape: Callable[..., Variable]
        transpose: Callable[..., Variable]
        astype: Callable[[Any], Variable]


@dataclass(eq=False)
class Body:
    """The inside of a block's application: from ports to outputs; older variables are captured.

    Attributes:
        ports: what stands inside for the application's inputs.
        outputs: what it gives.
        first: the serial number from which on variables are drawn inside.
        samples: how it is run for each sample apart, None for a body that is run as it is drawn.
    """

    ports: tuple[Variable, ...]
    outputs: tuple[Variable, ...]
    first: int
    samples: Samples | None = None

    def inside(self, variable: Variable) -> bool:
        """Whether the variable was drawn while the block was applied."""
        return variable.serial >= self.first and variable.kind == "computed"


@dataclass(eq=False)
class Application:
    """A function applied to variables: an operation (with a rule) or a block (with a body).

    The ways into a loop and out of it are applications too, with neither (`loop_parts.py`).
    The last `weights` inputs of a block stand for its parameters (`binding.py`).  What it is, its
    type says (`kinds.py`); the label is only shown.  `updates` are the next values of the states
    that a block updates in this application.
    """

    gives: ClassVar[str] = "variable"  # what messages call its outputs
    label: str
    inputs: tuple[Variable, ...]
    rule: Rule | None = None
    body: Body | None = None
    block: BlockBase | None = None
    where: str = ""
    outputs: tuple[Variable, ...] = field(default=())
    weights: int = 0
    updates: dict[Variable, Variable] = field(default_factory=dict)


_observed: weakref.WeakValueDictionary[int, Variable] = weakref.WeakValueDictionary()
"""The observed variables that are in use somewhere, by their serial numbers."""


def observed(name: str, shape: Shape = (), dtype: Any = "float32") -> Variable:
    """An observed variable (a shaded circle): its value is given at every call.

    Args:
        name: the keyword under which programs take it.
        shape: integers and names; a named size such as "B" is bound at the call and is the
            same wherever the name stands.
        dtype: a NumPy dtype or its name; float32, float64, int32, int64, uint32 or bool, or one
            for storage: int8, uint8, int16, uint16, float16 or bfloat16 (docs/dtypes.md).
    """
    subject = f"observed '{checked_name('observed', name)}' ({user_location()})"
    type = Type(dtype_name(dtype, subject), shape_of(shape, subject))
    variable = Variable("observed", type, name)
    _observed[variable.serial] = variable
    return variable


def parameter(name: str, shape: Shape = (), init: Any = None, dtype: Any = "float32") -> Variable:
    """A free parameter (a red circle): it has a value of its own, which training changes.

    Args:
        name: its name, below the path of the block that holds it.
        shape: integers.
        init: an initialiser of `dg.init`, a number, or an array of this shape; by default
            LeCun's uniform for two and more axes, zeros for fewer. A matrix is read as (inputs,
            outputs), a weight of more axes as a convolution's, (outputs, inputs, *taps): another
            layout is stated, as in `dg.init.lecun_uniform(layout="ikko")`.
        dtype: float32 or float64 for parameters that are trained; one of a storage dtype, such as
            a table of float16, has a value that no step changes.
    """
    subject = f"parameter '{checked_name('parameter', name)}' ({user_location()})"
    extents = shape_of(shape, subject)
    for extent in extents:
        if not isinstance(extent, int):
            raise ShapeError(
                f"{subject} expects a shape of integers, got {shape_text(extents)}: a parameter's "
                "size cannot depend on the input"
            )
    return Variable("parameter", Type(dtype_name(dtype, subject), extents), name, init=init)


def new_serial() -> int:
    """A serial number: what is drawn before has a lesser one, what is drawn after a greater."""
    return next(_serial)


def mark_read(variables: Sequence[Variable]) -> None:
    """Remember that something uses these variables."""
    for variable in variables:
        variable.is_read = True


def unread_observed(first: int, last: int) -> list[Variable]:
    """The observed variables that nothing uses, with serial numbers from `first` to `last`."""
    return [
        item
        for serial, item in sorted(_observed.items())
        if first <= serial <= last and not item.is_read
    ]


def mistaken(mistakes: Sequence[DiagramError]) -> Variable:
    """A variable that stands for the result of a mistake."""
    return Variable("computed", None, mistakes=tuple(mistakes))


def dtype_name(dtype: Any, subject: str | None = None) -> str:
    """NumPy's name of a dtype that diagrad has; DtypeError, said of `subject`, for another one."""
    try:
        name = "None" if dtype is None else np.dtype(dtype).name
    except (TypeError, ValueError):
        name = dtype if isinstance(dtype, str) else shown(dtype)
    if name not in DTYPES:
        subject = subject or user_location()
        raise DtypeError(f"{subject} expects a dtype out of {', '.join(DTYPES)}, got {name}")
    if name == "bfloat16":
        register_bfloat16(subject or user_location())
    return name


def shape_of(shape: Shape, subject: str | None = None) -> tuple[Dim, ...]:
    """A shape with its names as symbols; ShapeError, said of `subject`, where it is none."""
    if isinstance(shape, (int, np.integer, str, Size)):
        shape = (shape,)
    try:
        return tuple(_extent(extent) for extent in shape)
    except (TypeError, ValueError):
        raise ShapeError(
            f"{subject or user_location()} expects a shape of integers (0 or more) and names, got "
            f"{shape!r}"
        ) from None


def _extent(extent: Any) -> Dim:
    if isinstance(extent, Size):
        return extent
    if isinstance(extent, str) and extent.isidentifier():
        return named(extent)
    size = operator.index(extent)
    if size < 0:
        raise ValueError(size)
    return size


def shape_text(shape: Sequence[Dim]) -> str:
    """A shape as Python writes it, names without quotes: (B, 10)."""
    inner = ", ".join(map(str, shape))
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


def source_text(variable: Variable) -> str:
    """Where a variable comes from, for messages: "observed 'x' (model.py:3)"."""
    if variable.source is not None:
        return source_text(variable.source)
    if variable.producer is not None and variable.name is None:
        return application_text(variable.producer)
    kind: str = "variable" if variable.kind == "computed" else variable.kind
    if variable.producer is not None:
        kind = variable.producer.gives
    name = f" '{full_name(variable)}'" if variable.name else ""
    return f"{kind}{name} ({variable.where})"


def application_text(application: Application) -> str:
    """What an application is, for messages: "Linear 'fc1' (lenet.py:23)"."""
    if application.block is not None:
        return f"{application.block._describe()} ({application.where})"
    return f"{application.label} ({application.where})"


def full_name(variable: Variable) -> str:
    """A variable's name below the path of the block that holds it."""
    name = variable.name or ""
    return f"{variable.owner._path()}/{name}" if variable.owner is not None else name


def named_outputs(outputs: Mapping[str, Variable] | Variable | None) -> dict[str, Variable]:
    """Outputs by name; one variable alone is called by its own name, or "output"."""
    if outputs is None:
        return {}
    if isinstance(outputs, Variable):
        return {outputs.name or "output": outputs}
    return dict(outputs)


def checked_name(kind: str, name: Any) -> str:
    """The name of a variable of this kind; DiagramError unless it can be a keyword of a call."""
    if not isinstance(name, str) or not name.isidentifier():
        raise DiagramError(
            f"{kind} ({user_location()}) expects a name that is a Python identifier, got {name!r}"
        )
    return name


def _no_value(variable: Variable) -> str:
    return f"{source_text(variable)} has no value while the diagram is drawn"
