"""What each function of the standard is given: arrays, and options."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as arrays_of
import numpy as np
from hypothesis import strategies as st

from .drawing import ALL, FLOATS, INTEGERS, NUMBERS, array, pair
from .elementwise import BINARY, UNARY

BOOLS = ("bool",)
KINDS = (FLOATS, ("int32", "int64"), ("uint32",), BOOLS)
"""Dtypes that the standard's table puts together."""

SUMMED = (*FLOATS, "int32", "int64")
"""Those of the sums that are here too."""

UNARY_DTYPES: dict[str, Any] = {
    **dict.fromkeys(UNARY, FLOATS),
    **dict.fromkeys(
        ("abs", "ceil", "floor", "isfinite", "isinf", "isnan", "negative", "positive", "round",
         "sign", "square", "trunc"), NUMBERS
    ),
    "bitwise_invert": (*INTEGERS, "bool"),
    "logical_not": BOOLS,
}  # fmt: skip

BINARY_KINDS: dict[str, Any] = {
    **dict.fromkeys(BINARY, KINDS[:3]),
    **dict.fromkeys(("atan2", "copysign", "divide", "hypot", "logaddexp"), KINDS[:1]),
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), KINDS[1:]),
    **dict.fromkeys(("bitwise_left_shift", "bitwise_right_shift"), KINDS[1:3]),
    **dict.fromkeys(("logical_and", "logical_or", "logical_xor"), KINDS[3:]),
    **dict.fromkeys(("equal", "not_equal"), KINDS),
}


def call(arrays: Any, **options: Any) -> Any:
    """Arrays and options, each drawn or as they are."""
    drawn = {name: _strategy(item) for name, item in options.items()}
    return st.tuples(arrays, st.fixed_dictionaries(drawn))


def _strategy(item: Any) -> Any:
    return item if isinstance(item, st.SearchStrategy) else st.just(item)


def one(dtypes: Any, **options: Any) -> Any:
    """One array, any options."""
    return call(array(dtypes).map(lambda x: [x]), **options)


@st.composite
def along(
    draw: Any,
    /,
    dtypes: Any,
    several: bool = False,
    none: bool = False,
    least: int = 0,
    **options: Any,
) -> Any:
    """One array of one axis or more, of small numbers, and an axis; or several, or none."""
    shapes = arrays_of.array_shapes(min_dims=1, max_dims=3, min_side=least, max_side=4)
    x = draw(array(dtypes, shapes, special=False))
    axes = st.integers(-x.ndim, x.ndim - 1)
    if several:
        places = st.lists(st.integers(0, x.ndim - 1), unique=True, min_size=1).map(tuple)
        axes = st.one_of(axes, places, st.none())
    elif none:
        axes = st.one_of(axes, st.none())
    found = {name: draw(_strategy(item)) for name, item in options.items()}
    return [x], {"axis": draw(axes), **found}


KEEP = st.booleans()


@st.composite
def variance(draw: Any) -> Any:
    """Where more elements are left than are taken from their number."""
    (x,), options = draw(along(FLOATS, several=True, least=2, keepdims=KEEP))
    return [x], {**options, "correction": draw(st.sampled_from([0, 1, 0.5]))}


@st.composite
def running(draw: Any) -> Any:
    """An axis that is there, or none for a vector."""
    return draw(along(SUMMED, include_initial=KEEP))


@st.composite
def clip(draw: Any) -> Any:
    """Bounds that are numbers, arrays, or none."""
    x = draw(array(FLOATS, special=False))
    low = draw(st.one_of(st.none(), st.sampled_from([-2.5, 0.0])))
    high = draw(st.one_of(st.none(), st.sampled_from([1.0, 3.25])))
    as_arrays = draw(st.booleans())
    bounds = [np.asarray(b, x.dtype) if as_arrays and b is not None else b for b in (low, high)]
    return [x, *bounds], {}


@st.composite
def parts(draw: Any, least: int = 1) -> Any:
    """Arrays of one kind and one shape, in a list."""
    dtypes, count = draw(st.sampled_from(KINDS)), draw(st.integers(least, 3))
    shape = st.just(draw(arrays_of.array_shapes(max_dims=3, max_side=3)))
    return [draw(array(dtypes, shape)) for _ in range(count)]


@st.composite
def concat(draw: Any) -> Any:
    """Parts and an axis, or none."""
    found = draw(parts())
    axes = st.integers(-found[0].ndim, found[0].ndim - 1)
    return [found], {"axis": draw(st.one_of(axes, st.none()))}


@st.composite
def stack(draw: Any) -> Any:
    """Parts and a new axis."""
    found = draw(parts())
    return [found], {"axis": draw(st.integers(-found[0].ndim - 1, found[0].ndim))}


@st.composite
def reshape(draw: Any) -> Any:
    """All elements in another shape, one size of which may be left open."""
    x = draw(array(ALL, arrays_of.array_shapes(max_dims=3, max_side=4)))
    shapes = [(x.size,), (-1,), (1, x.size), (x.size, 1, -1), x.shape[::-1]]
    return [x, draw(st.sampled_from(shapes))], {}


@st.composite
def roll(draw: Any) -> Any:
    """By an integer, or by some along as many axes."""
    (x,), options = draw(along(ALL, none=True))
    shift = draw(st.integers(-5, 5))
    if draw(st.booleans()):
        return [x, (shift, 1)], {"axis": (0, x.ndim - 1)}
    return [x, shift], options


@st.composite
def permute(draw: Any) -> Any:
    """Axes in any order."""
    x = draw(array(ALL))
    return [x, tuple(draw(st.permutations(range(x.ndim))))], {}


@st.composite
def move(draw: Any) -> Any:
    """One axis elsewhere."""
    x = draw(array(ALL, arrays_of.array_shapes(max_dims=3, min_side=0, max_side=4)))
    place = st.integers(-x.ndim, x.ndim - 1)
    return [x, draw(place), draw(place)], {}


@st.composite
def squeeze(draw: Any) -> Any:
    """An axis of one element."""
    x = draw(array(ALL))
    place = draw(st.integers(0, x.ndim))
    return [np.expand_dims(x, place), place], {}


@st.composite
def expand(draw: Any) -> Any:
    """One new axis."""
    x = draw(array(ALL))
    return [x], {"axis": draw(st.integers(-x.ndim - 1, x.ndim))}


@st.composite
def spread(draw: Any) -> Any:
    """To a shape that its own broadcasts to."""
    x = draw(array(ALL))
    ones = tuple(1 if draw(st.booleans()) else n for n in x.shape)
    part = np.asarray(x[tuple(slice(0, n) for n in ones)])
    return [part, (*draw(st.sampled_from([(), (2,), (0, 3)])), *x.shape)], {}


@st.composite
def repeat(draw: Any) -> Any:
    """So often each, or the same for all."""
    (x,), options = draw(along(ALL, none=True))
    axis = options["axis"]
    extent = x.size if axis is None else x.shape[axis]
    counts = arrays_of.arrays("int64", (extent,), elements=st.integers(0, 3))
    return [x, draw(st.one_of(st.integers(0, 3), counts))], options


@st.composite
def choices(draw: Any) -> Any:
    """A mask, and two arrays of one kind."""
    kind = draw(st.sampled_from(KINDS))
    shapes = draw(arrays_of.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3))
    dtypes = [BOOLS, kind, kind]
    drawn = zip(dtypes, shapes.input_shapes, strict=True)
    return [draw(array(d, st.just(s))) for d, s in drawn], {}


@st.composite
def taken(draw: Any) -> Any:
    """Places along an axis."""
    (x,), options = draw(along(ALL, least=1))
    extent = x.shape[options["axis"]]
    count = draw(st.integers(0, 4))
    places = st.integers(0, extent - 1)
    return [x, draw(arrays_of.arrays("int64", (count,), elements=places))], options


@st.composite
def taken_along(draw: Any) -> Any:
    """A place for each line along an axis."""
    (x,), options = draw(along(ALL, least=1))
    axis = options["axis"] % x.ndim
    shape = (*x.shape[:axis], draw(st.integers(0, 3)), *x.shape[axis + 1 :])
    places = st.integers(0, x.shape[axis] - 1)
    return [x, draw(arrays_of.arrays("int64", shape, elements=places))], options


@st.composite
def searched(draw: Any) -> Any:
    """Values among rising numbers."""
    dtype = draw(st.sampled_from(NUMBERS))
    rising = np.sort(draw(array((dtype,), st.integers(0, 6).map(lambda n: (n,)), special=False)))
    values = draw(array((dtype,), special=False))
    return [rising, values], {"side": draw(st.sampled_from(["left", "right"]))}


@st.composite
def product(draw: Any) -> Any:
    """Matrices or vectors that fit, of small numbers."""
    m, n, k = (draw(st.integers(0, 3)) for _ in range(3))
    batch = draw(st.sampled_from([(), (2,), (2, 1)]))
    left = draw(st.sampled_from([(k,), (m, k), (*batch, m, k)]))
    right = draw(st.sampled_from([(k,), (k, n), (2, k, n)]))
    kind = draw(st.sampled_from(KINDS[:3]))
    return [draw(array(kind, st.just(shape), special=False)) for shape in (left, right)], {}


@st.composite
def dotted(draw: Any) -> Any:
    """Vectors of one size, the other axes broadcast."""
    k, kind = draw(st.integers(0, 4)), draw(st.sampled_from(KINDS[:3]))
    shapes = [draw(st.sampled_from([(k,), (3, k), (1, k)])) for _ in range(2)]
    return [draw(array(kind, st.just(shape), special=False)) for shape in shapes], {}


@st.composite
def matrix(draw: Any, /, dtypes: Any = ALL, least: int = 0, **options: Any) -> Any:
    """Matrices, (..., m, n)."""
    shapes = arrays_of.array_shapes(min_dims=2, max_dims=3, min_side=least, max_side=4)
    x = draw(array(dtypes, shapes, special=False))
    return [x], {name: draw(_strategy(item)) for name, item in options.items()}


@st.composite
def vectors(draw: Any, /, shape: Any, **options: Any) -> Any:
    """Two arrays of one kind, their shapes drawn alike."""
    kind = draw(st.sampled_from(KINDS[:3]))
    arrays = [draw(array(kind, shape, special=False)) for _ in range(2)]
    return arrays, {name: draw(_strategy(item)) for name, item in options.items()}


@st.composite
def regular(draw: Any, /, symmetric: bool = False, **options: Any) -> Any:
    """Square matrices of float64 far from singular ones; symmetric ones are positive definite."""
    n, batch = draw(st.integers(0, 4)), draw(st.sampled_from([(), (2,), (0,)]))
    x = draw(array(("float64",), st.just((*batch, n, n)), special=False)) / 16
    x = x @ np.swapaxes(x, -1, -2) if symmetric else x
    found = {name: draw(_strategy(item)) for name, item in options.items()}
    return [x + 5 * n * np.eye(n)], found


CASES: dict[str, Any] = {
    **{name: one(dtypes) for name, dtypes in UNARY_DTYPES.items()},
    "signbit": call(array(FLOATS).filter(lambda x: not np.isnan(x).any()).map(lambda x: [x])),
    **{name: call(pair(kinds).map(list)) for name, kinds in BINARY_KINDS.items()},
    **dict.fromkeys(
        ("bitwise_left_shift", "bitwise_right_shift"),
        call(pair(KINDS[1:3]).map(lambda drawn: [drawn[0], np.asarray(abs(drawn[1]) % 40)])),
    ),
    **dict.fromkeys(("all", "any"), along(ALL, several=True, keepdims=KEEP)),
    **dict.fromkeys(("sum", "prod"), along(SUMMED, several=True, keepdims=KEEP)),
    **dict.fromkeys(("max", "min"), along(NUMBERS, several=True, least=1, keepdims=KEEP)),
    "mean": along(FLOATS, several=True, least=1, keepdims=KEEP),
    **dict.fromkeys(("std", "var"), variance()),
    "count_nonzero": along(ALL, several=True, keepdims=KEEP),
    **dict.fromkeys(("argmax", "argmin"), along(NUMBERS, none=True, least=1, keepdims=KEEP)),
    **dict.fromkeys(("cumulative_sum", "cumulative_prod"), running()),
    "diff": along(NUMBERS, least=1, n=st.integers(0, 1)),
    "clip": clip(),
    "concat": concat(),
    "stack": stack(),
    "unstack": along(ALL),
    "broadcast_to": spread(),
    "broadcast_arrays": call(pair(KINDS).map(list)),
    "expand_dims": expand(),
    "squeeze": squeeze(),
    "flip": along(ALL, several=True),
    "moveaxis": move(),
    "permute_dims": permute(),
    "reshape": reshape(),
    "repeat": repeat(),
    "roll": roll(),
    "tile": call(array(ALL).map(lambda x: [x, (2, 1, 2)])),
    "meshgrid": call(
        st.lists(array(FLOATS[:1], st.integers(0, 3).map(lambda n: (n,))), min_size=1, max_size=3),
        indexing=st.sampled_from(["xy", "ij"]),
    ),
    **dict.fromkeys(("tril", "triu"), matrix(k=st.integers(-2, 2))),
    **dict.fromkeys(("zeros_like", "ones_like"), one(ALL)),
    **dict.fromkeys(("sort", "argsort"), along(NUMBERS, descending=KEEP)),
    "searchsorted": searched(),
    "take": taken(),
    "take_along_axis": taken_along(),
    "where": choices(),
    "isin": call(pair(KINDS[1:3]).map(list)),
    "matmul": product(),
    "tensordot": vectors(st.just((2, 3)), axes=st.sampled_from([2, 0])),
    "vecdot": dotted(),
    "matrix_transpose": matrix(),
    "linalg.diagonal": matrix(offset=st.integers(-2, 2)),
    "linalg.trace": matrix(SUMMED, offset=st.integers(-1, 1)),
    "linalg.cross": vectors(st.just((2, 3))),
    "linalg.outer": vectors(st.integers(0, 4).map(lambda n: (n,))),
    **dict.fromkeys(
        ("linalg.det", "linalg.slogdet", "linalg.inv", "linalg.svdvals", "linalg.pinv"), regular()
    ),
    "linalg.cholesky": regular(symmetric=True, upper=KEEP),
    "linalg.eigvalsh": regular(symmetric=True),
    "linalg.matrix_rank": matrix(FLOATS, least=1),
    "linalg.matrix_power": call(
        st.tuples(regular(symmetric=True), st.integers(-2, 3)).map(lambda got: [*got[0][0], got[1]])
    ),
    "linalg.solve": call(regular().map(lambda drawn: [drawn[0][0], drawn[0][0]])),
    "linalg.vector_norm": along(
        FLOATS, several=True, least=1, keepdims=KEEP, ord=st.sampled_from([1, 2, np.inf, 3])
    ),
    "linalg.matrix_norm": matrix(
        FLOATS, least=1, keepdims=KEEP, ord=st.sampled_from(["fro", 1, -1, np.inf, -np.inf])
    ),
}  # fmt: skip
"""By the name in the standard."""
