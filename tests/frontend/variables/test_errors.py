"""What a mistake in a drawing says, word for word: which block, where, expected, got, remedy."""

import pytest

import diagrad as dg

from ..source import draw, mistake_in

X = 'x = dg.observed("x", ("B", 4))'
Case = tuple[str, type[Exception], str]

SHAPES: dict[str, Case] = {
    "broadcasting": (
        f'{X}\ny = x + dg.observed("u", ("B", 5))', dg.ShapeError,
        "add (model.py:2) expects shapes that broadcast, got (B, 4) float32 from observed 'x' "
        "(model.py:1) and (B, 5) float32 from observed 'u' (model.py:2): axis -1 has 4 and 5 "
        "elements",
    ),
    "two named sizes": (
        f'{X}\ny = x * dg.observed("u", ("C", 4))', dg.ShapeError,
        "multiply (model.py:2) expects shapes that broadcast, got (B, 4) float32 from observed 'x' "
        "(model.py:1) and (C, 4) float32 from observed 'u' (model.py:2): axis -2 has B and C "
        "elements, and a named size fits only itself",
    ),
    "broadcast_to": (
        f'{X}\ny = dg.broadcast_to(x, ("B", 5))', dg.ShapeError,
        "broadcast_to (model.py:2) expects shapes that broadcast, got (B, 4) float32 from observed "
        "'x' (model.py:1): axis -1 has 4 and 5 elements",
    ),
    "matmul": (
        f'{X}\ny = x @ dg.parameter("w", (5, 4))', dg.ShapeError,
        "matmul (model.py:2) expects as many columns on the left as rows on the right, not 4 and "
        "5; given (B, 4) float32 from observed 'x' (model.py:1) and (5, 4) float32 from parameter "
        "'w' (model.py:2)",
    ),
    "matmul of a number": (
        f'{X}\ny = x @ dg.observed("u")', dg.ShapeError,
        "matmul (model.py:2) expects vectors or matrices, not numbers; given (B, 4) float32 from "
        "observed 'x' (model.py:1) and () float32 from observed 'u' (model.py:2): use *",
    ),
    "an axis": (
        f"{X}\ny = x.sum(axis=2)", dg.ShapeError,
        "sum (model.py:2) expects an axis in [-2, 2), not 2; given (B, 4) float32 from observed "
        "'x' (model.py:1)",
    ),
    "an axis twice": (
        f"{X}\ny = x.sum(axis=(0, -2))", dg.ShapeError,
        "sum (model.py:2) expects each axis once, not (0, -2); given (B, 4) float32 from observed "
        "'x' (model.py:1)",
    ),
    "split": (
        f"{X}\ny, *_ = dg.split(x, 3, axis=1)", dg.ShapeError,
        "split (model.py:2) expects axis 1 to have a multiple of 3 elements, not 4; given (B, 4) "
        "float32 from observed 'x' (model.py:1)",
    ),
    "split a named size": (
        f"{X}\ny, *_ = dg.split(x, 2)", dg.ShapeError,
        "split (model.py:2) expects axis 0 to have a multiple of 2 elements, not B; given (B, 4) "
        "float32 from observed 'x' (model.py:1)",
    ),
    "no parts": (
        "y = dg.concatenate([])", dg.ShapeError,
        "concatenate (model.py:1) expects at least one part",
    ),
    "gradient of a matrix": (
        f"{X}\ny = dg.gradient(x * x, x)", dg.ShapeError,
        "gradient (model.py:2) expects a scalar cost, got (B, 4) float32 from multiply "
        "(model.py:2) and (B, 4) float32 from observed 'x' (model.py:1): take its mean or sum "
        "first",
    ),
    "jacobian of unknown size": (
        f"{X}\ny = dg.jacobian(x, x)", dg.ShapeError,
        "jacobian (model.py:2) expects an output of fixed size, got (B, 4) from observed 'x' "
        "(model.py:1): choose an element or take a sum",
    ),
    "jacobian of nothing": (
        f"{X}\ny = dg.jacobian(x[0, :0], x)", dg.ShapeError,
        "jacobian (model.py:2) expects at least one output element",
    ),
}  # fmt: skip

INDICES: dict[str, Case] = {
    "too many": (
        "x[0, 0, 0]", dg.ShapeError, "index (model.py:2) expects at most 2 indices, not 3; given "
    ),
    "outside": (
        "x[:, 7]", dg.ShapeError,
        "index (model.py:2) expects an index in [-4, 4) on axis 1, not 7; given ",
    ),
    "a float": (
        "x[1.5]", dg.ShapeError,
        "index (model.py:2) expects integers, sizes, slices, ... and None as indices, not 1.5; "
        "given ",
    ),
    "a bool": (
        "x[True]", dg.ShapeError,
        "index (model.py:2) expects integers, sizes, slices, ... and None as indices, not True; "
        "given ",
    ),
    "two ellipses": (
        "x[..., ...]", dg.ShapeError,
        "index (model.py:2) expects at most one ... among the indices, got ",
    ),
    "no step": (
        "x[:, ::0]", dg.ShapeError,
        "index (model.py:2) expects a slice step other than 0 on axis 1, got ",
    ),
    "a step of another type": (
        "x[:, ::0.5]", dg.ShapeError,
        "index (model.py:2) expects the step of a slice to be an integer, not 0.5; given ",
    ),
    "backwards over a name": (
        "x[::-2]", dg.ShapeError,
        "index (model.py:2) expects [::-1] alone where a slice runs backwards over the named size "
        "B, got ",
    ),
    "backwards from a name": (
        'x[:, "B"::-1]', dg.ShapeError,
        "index (model.py:2) expects [::-1] alone where a slice runs backwards over the named size "
        "B, got ",
    ),
    "no name": (
        'x[:, :"B D"]', dg.ShapeError,
        "index (model.py:2) expects bounds of a slice on axis 1 (4 elements) to be integers, sizes "
        "or names of sizes, not 'B D'; given ",
    ),
    "a variable as a bound": (
        "x[x[0, 0]:]", dg.ShapeError,
        "index (model.py:2) expects bounds of a slice on axis 0 (B elements) to be integers, sizes "
        "or names of sizes, not index (model.py:2); given ",
    ),
}  # fmt: skip

ALL_DTYPES = (
    "float32", "float64", "int32", "int64", "uint32", "bool", "int8", "uint8", "int16", "uint16",
    "float16", "bfloat16",
)  # fmt: skip
DTYPES: dict[str, Case] = {
    "two dtypes": (
        f'{X}\ny = x + dg.observed("i", ("B", 4), "int32")', dg.DtypeError,
        "add (model.py:2) expects operands of one dtype, got (B, 4) float32 from observed 'x' "
        "(model.py:1) and (B, 4) int32 from observed 'i' (model.py:2): convert one with "
        ".astype(...), nothing is promoted silently",
    ),
    "an array of NumPy": (
        f"{X}\ny = x + np.ones(4)", dg.DtypeError,
        "add (model.py:2) expects operands of one dtype, got (B, 4) float32 from observed 'x' "
        "(model.py:1) and (4,) float64 from constant (model.py:2): convert one with .astype(...), "
        "nothing is promoted silently",
    ),
    "a fraction beside integers": (
        'i = dg.observed("i", (), "int32")\ny = i + 0.5', dg.DtypeError,
        "add (model.py:2) expects operands of one dtype, got () int32 from observed 'i' "
        "(model.py:1) and () float32 from constant (model.py:2): convert one with .astype(...), "
        "nothing is promoted silently",
    ),
    "exp of integers": (
        'i = dg.observed("i", ("B",), "int32")\ny = dg.exp(i)', dg.DtypeError,
        "exp (model.py:2) expects a dtype of kind float, got int32; given (B,) int32 from observed "
        "'i' (model.py:1): convert it with .astype(...)",
    ),
    "a condition": (
        f"{X}\ny = dg.where(x, 1.0, 0.0)", dg.DtypeError,
        "where (model.py:2) expects a condition of dtype bool, not float32; given (B, 4) float32 "
        "from observed 'x' (model.py:1) and () float32 from constant (model.py:2) and () float32 "
        "from constant (model.py:2): compare it",
    ),
    "float indices": (
        f'{X}\ny = x[dg.observed("i", ("N",))]', dg.DtypeError,
        "take (model.py:2) expects indices of dtype int32 or int64, not float32; given (B, 4) "
        "float32 from observed 'x' (model.py:1) and (N,) float32 from observed 'i' (model.py:2): "
        "convert it with .astype(...)",
    ),
    "one_hot of floats": (
        f"{X}\ny = dg.one_hot(x, 3)", dg.DtypeError,
        "one_hot (model.py:2) expects indices of dtype int32 or int64, not float32; given (B, 4) "
        "float32 from observed 'x' (model.py:1): convert it with .astype(...)",
    ),
    "float labels": (
        f'{X}\ny = dg.cross_entropy(x, dg.observed("l", ("B",)))', dg.DtypeError,
        "cross_entropy (model.py:2) expects labels of dtype int32 or int64, got float32 from "
        "observed 'l' (model.py:2): labels are class numbers, or probabilities of shape (B, 4)",
    ),
    "gradient by integers": (
        'i = dg.observed("i", (), "int32")\ny = dg.gradient(i.astype("float32"), i)',
        dg.DtypeError,
        "gradient (model.py:2) expects floats, got () float32 from astype float32 (model.py:2) and "
        "() int32 from observed 'i' (model.py:1): integers have no gradient",
    ),
    "an unknown dtype": (
        'y = dg.observed("x", ("B",), "complex64")', dg.DtypeError,
        f"observed 'x' (model.py:1) expects a dtype out of {', '.join(ALL_DTYPES)}, got complex64",
    ),
    "no dtype": (
        'y = dg.parameter("w", (2,), dtype=None)', dg.DtypeError,
        f"parameter 'w' (model.py:1) expects a dtype out of {', '.join(ALL_DTYPES)}, got None",
    ),
    "astype": (
        f'{X}\ny = x.astype("half a float")', dg.DtypeError,
        f"model.py:2 expects a dtype out of {', '.join(ALL_DTYPES)}, got half a float",
    ),
}  # fmt: skip

VARIABLES: dict[str, Case] = {
    "a name that is none": (
        'y = dg.observed("the images", ("B",))', dg.DiagramError,
        "observed (model.py:1) expects a name that is a Python identifier, got 'the images'",
    ),
    "no name": (
        "y = dg.parameter((2, 3))", dg.DiagramError,
        "parameter (model.py:1) expects a name that is a Python identifier, got (2, 3)",
    ),
    "a parameter of named size": (
        'y = dg.parameter("w", ("B", 4))', dg.ShapeError,
        "parameter 'w' (model.py:1) expects a shape of integers, got (B, 4): a parameter's size "
        "cannot depend on the input",
    ),
    "a negative size": (
        'y = dg.observed("x", (-1, 3))', dg.ShapeError,
        "observed 'x' (model.py:1) expects a shape of integers (0 or more) and names, got (-1, 3)",
    ),
    "half a size": (
        'y = dg.observed("x", (1.5,))', dg.ShapeError,
        "observed 'x' (model.py:1) expects a shape of integers (0 or more) and names, got (1.5,)",
    ),
    "no shape": (
        'y = dg.variable("v", None)', dg.ShapeError,
        "variable 'v' (model.py:1) expects a shape of integers (0 or more) and names, got None",
    ),
    "a name of a size that is none": (
        'y = dg.observed("x", ("B C",))', dg.ShapeError,
        "observed 'x' (model.py:1) expects a shape of integers (0 or more) and names, got ('B C',)",
    ),
    "a text as a constant": (
        f'{X}\ny = x + "one"', TypeError,
        "constant (model.py:2) expects numbers, got 'one'",
    ),
    "None as a constant": (
        f"{X}\ny = x * None", TypeError,
        "constant (model.py:2) expects numbers, got NoneType",
    ),
    "a variable as a constant": (
        f"{X}\ny = dg.constant(x)", TypeError,
        "constant (model.py:2) expects numbers, got observed 'x' (model.py:1)",
    ),
    "gradient by a number": (
        f"{X}\ny = dg.gradient(x.sum(), 3.0)", TypeError,
        "gradient (model.py:2) expects a cost and one variable or a list of variables, got float",
    ),
    "connect twice": (
        f'{X}\nv = dg.variable("v", ("B", 4))\ndg.connect(v, x)\ndg.connect(v, x)',
        dg.DiagramError,
        "connect (model.py:4) expects a variable of dg.variable that is not connected yet, got "
        "variable 'v' (model.py:2), connected already (model.py:3)",
    ),
    "connect an observed variable": (
        f'{X}\ndg.connect(x, dg.observed("u", ("B", 4)))', dg.DiagramError,
        "connect (model.py:2) expects a variable of dg.variable that is not connected yet, got "
        "observed 'x' (model.py:1)",
    ),
    "connect a number": (
        'dg.connect(dg.variable("v", ()), 3)', TypeError,
        "connect (model.py:1) expects two variables, got int",
    ),
    "connect another shape": (
        f'{X}\ny = dg.variable("v", ("B", 5))\ndg.connect(y, x)', dg.ShapeError,
        "connect (model.py:3) expects float32 (B, 5) for variable 'v' (model.py:2), got float32 "
        "(B, 4) from observed 'x' (model.py:1)",
    ),
    "connect another dtype": (
        f'{X}\ny = dg.variable("v", ("B", 4), "float64")\ndg.connect(y, x)', dg.DtypeError,
        "connect (model.py:3) expects float64 (B, 4) for variable 'v' (model.py:2), got float32 "
        "(B, 4) from observed 'x' (model.py:1)",
    ),
}  # fmt: skip

VALUES: dict[str, tuple[str, str]] = {
    "if": (
        "if x > 0:\n    pass",
        "greater (model.py:2) has no value while the diagram is drawn: use dg.where(condition, a, "
        "b) instead of `if`; &, | and ~ instead of `and`, `or` and `not`; dg.maximum and "
        "dg.minimum instead of max and min; and `is` to ask whether it is the same variable",
    ),
    "float": (
        "float(x)",
        "observed 'x' (model.py:1) has no value while the diagram is drawn: make it an output, and "
        "run a program for it; functions of it are those of diagrad, as dg.sin for math.sin",
    ),
    "int": (
        "int(x)",
        "observed 'x' (model.py:1) has no value while the diagram is drawn: make it an output, and "
        "run a program for it; functions of it are those of diagrad, as dg.sin for math.sin",
    ),
    "index of a list": (
        "[1, 2][x]",
        "observed 'x' (model.py:1) has no value while the diagram is drawn: make it an output, and "
        "run a program for it; functions of it are those of diagrad, as dg.sin for math.sin",
    ),
    "array": (
        "np.asarray(x)",
        "observed 'x' (model.py:1) has no value while the diagram is drawn: use the functions of "
        "diagrad on it, not NumPy's",
    ),
    "iteration": (
        "for row in x:\n    pass",
        "observed 'x' (model.py:1) of shape (B, 4) cannot be counted, it has no fixed length: "
        "use functions over its first axis, such as dg.sum(x, axis=0), not a loop",
    ),
}


@pytest.mark.parametrize("name", [*SHAPES, *DTYPES, *VARIABLES])
def test_a_mistake(name: str) -> None:
    source, kind, expected = {**SHAPES, **DTYPES, **VARIABLES}[name]
    assert str(mistake_in(source, kind)) == expected


@pytest.mark.parametrize("name", INDICES)
def test_an_index(name: str) -> None:
    index, kind, expected = INDICES[name]
    given = "(B, 4) float32 from observed 'x' (model.py:1)"
    assert str(mistake_in(f"{X}\ny = {index}", kind)) == expected + given


@pytest.mark.parametrize("name", VALUES)
def test_a_variable_has_no_value(name: str) -> None:
    source, expected = VALUES[name]
    with pytest.raises(TypeError) as error:
        draw(f"{X}\n{source}")
    assert str(error.value) == expected


def test_a_fixed_axis_can_be_iterated() -> None:
    rows = list(dg.observed("x", (3, 4)))
    assert [row.shape for row in rows] == [(4,)] * 3
    assert len(dg.observed("x", (3, 4))) == 3
