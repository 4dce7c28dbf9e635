"""What is made and moved: mistakes word for word, short axes, dtypes that are adopted."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.variables.variable import shape_text

from ..frontend.evaluating import apply, run
from ..frontend.source import mistake_in

X = 'x = dg.observed("x", ("B", 3))\n'
GOT = "got (B, 3) float32 from observed 'x' (model.py:1)"
GIVEN = "given (B, 3) float32 from observed 'x' (model.py:1)"
REFUSED = {
    "dg.pad(x, [(0, 0)] * 3)": f"pad (model.py:2) expects 2 pairs of widths, not 3; {GIVEN}",
    "dg.pad(x, [(0, 0), (-2, -2)])": "pad (model.py:2) expects to take at most 3 elements away "
    f"from axis 1, not 4; {GIVEN}",
    'dg.pad(x[:0, :0], 1, "edge")': "pad (model.py:2) expects an element to repeat on axis 0, not "
    "0 elements; given (0, 0) float32 from index (model.py:2)",
    "dg.split(x, [1, 1], 1)[0]": "split (model.py:2) expects sizes that are 3 together, not [1, 1]"
    f"; {GIVEN}",
    "dg.split(x, 2)[0]": "split (model.py:2) expects axis 0 to have a multiple of 2 elements, not "
    f"B; {GIVEN}",
    "dg.unstack(x)[0]": "unstack (model.py:2) expects an axis of fixed size, not of B elements; "
    f"{GIVEN}",
    "dg.moveaxis(x, 0, (0, 1))": "moveaxis (model.py:2) expects as many places as axes, each once, "
    f"not [0] and [0, 1]; {GIVEN}",
    "dg.tril(x[0])": "tril (model.py:2) expects matrices, with two axes or more, got (3,) float32 "
    "from index (model.py:2)",
    "dg.diagonal(x)": "diagonal (model.py:2) expects the main diagonal of square matrices where a "
    f"size has a name, not the diagonal 0 of B rows and 3 columns; {GIVEN}",
    "dg.diagonal(x, 0, 1, -1)": f"diagonal (model.py:2) expects two axes, not 1 twice; {GIVEN}",
    "dg.roll(x, (1, 2, 3), (0, 1))": "roll (model.py:2) expects as many shifts as axes, not 3 and "
    f"2; {GIVEN}",
    "dg.flatten(x, 2, 0)": "flatten (model.py:2) expects a last axis behind axis 2, not 0; "
    f"{GIVEN}",
}  # fmt: skip


@pytest.mark.parametrize("source", REFUSED)
def test_shapes_that_do_not_fit(source: str) -> None:
    assert str(mistake_in(f"{X}y = {source}", dg.ShapeError)) == REFUSED[source]


def test_made_arrays_adopt_a_dtype() -> None:
    x = dg.observed("x", (3,), "float64")
    for made in (
        dg.zeros((3,)),
        dg.ones((3,)),
        dg.full((3,), 0.1),
        dg.linspace(0.1, 0.3, 3),
        dg.eye(3),
    ):
        assert made.dtype == "float32" and (made * x).dtype == "float64"
    values = run({"y": dg.full((3,), 0.1) * x, "z": dg.linspace(0, 0.3, 3) * x}, x=np.ones(3))
    assert values["y"].tolist() == [0.1] * 3
    assert values["z"].tolist() == np.linspace(0, 0.3, 3).tolist()


def test_like_holds_the_number_or_refuses_it() -> None:
    index = dg.observed("i", (2,), "int32")
    with pytest.raises(dg.DtypeError):
        dg.full_like(index, 0.5)
    assert dg.full_like(index, 0.5, "float64").dtype == "float64"
    assert dg.ones_like(index).dtype == "int32"


@pytest.mark.parametrize("mode", ["edge", "reflect", "wrap"])
def test_padding_that_is_longer_than_the_axis(mode: Any) -> None:
    """Mirrored again and again; of a named size too."""
    for count in (1, 2, 3, 7):
        x = np.arange(3.0 * count).reshape(count, 3)
        wanted = np.pad(x, ((5, 6), (0, 0)), mode)
        found = apply(lambda v: dg.pad(v, ((5, 6), (0, 0)), mode), x)
        np.testing.assert_array_equal(found, wanted)
        v = dg.observed("v", ("B", 3), "float64")
        outputs = {"y": dg.pad(v, ((5, 6), (0, 0)), mode)}
        for target in ("reference", "cpu"):
            program = dg.Diagram("pad", outputs).compile(target=target)
            np.testing.assert_array_equal(program.run(v=x)["y"], wanted)


def test_a_split_along_a_named_axis_takes_named_sizes() -> None:
    both = dg.concatenate([dg.observed("a", ("M", 2)), dg.observed("b", ("N", 2))])
    first, second = dg.split(both, ["M", "N"])
    assert shape_text(first.shape) == "(M, 2)"
    a, b = np.ones((3, 2), np.float32), np.zeros((4, 2), np.float32)
    values = run({"first": first, "second": second}, a=a, b=b)
    np.testing.assert_array_equal(values["first"], a)
    np.testing.assert_array_equal(values["second"], b)


def test_a_negative_width_takes_elements_away() -> None:
    """As in PyTorch, what is padded being what is cropped; a size with a name may be too small."""
    torch = pytest.importorskip("torch")
    array = np.arange(10.0).reshape(2, 5)
    x, named = dg.observed("x", (2, 5), "float64"), dg.observed("x", ("A", "B"), "float64")
    modes = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}
    widths = [(-1, 2), (2, -1), (-2, -1), (-3, 2), (3, -4), (-5, 0)]
    outputs: dict[str, Any] = {}
    wanted: dict[str, Any] = {}
    for mode, theirs in modes.items():
        for pair in widths:
            if pair == (-5, 0) and mode != "constant":
                continue
            value = 7.0 if mode == "constant" else 0.0
            options = {"value": value} if mode == "constant" else {}
            padded = torch.nn.functional.pad(torch.tensor(array), pair, theirs, **options)
            outputs[f"{mode} {pair}"] = lambda v, p=pair, m=mode, n=value: dg.pad(
                v, [(0, 0), p], m, n
            )
            wanted[f"{mode} {pair}"] = padded.numpy()
    for v in (x, named):
        drawn = {name: draw(v) for name, draw in outputs.items()}
        drawn["slope"] = dg.gradient(dg.sum(dg.pad(v, [(1, -1), (-2, 3)], "edge") ** 2), v)
        program = dg.Diagram("d", drawn).compile(target="cpu")
        found = program.run(x=array)
        for name, value in wanted.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)
        slope = np.zeros((2, 5))
        slope[0] = [0, 0, 2, 2, 8]
        np.testing.assert_array_equal(found["slope"], 2 * array * slope)
    with pytest.raises(dg.InputError, match="is negative for A = 2, B = 1"):
        program.run(x=array[:, :1])
