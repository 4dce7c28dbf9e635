"""`dg.fit` looks at all that it is given before the first step, and says what is wrong with it."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import Array
from .test_training import Recorder, fit, lines, regression

HERE = "test_training_errors.py:{}"
WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "nothing": ({}, {}, "fit of 'recorder' expects inputs x, y; missing x, y"),
    "more": (
        {**lines(3), "z": 1}, {}, "fit of 'recorder' expects inputs x, y; got unexpected z"
    ),
    "empty": (lines(0), {}, "fit of 'recorder' expects at least one sample, got none in 'x'"),
    "lengths": (
        lines(5, -1), {},
        "fit of 'recorder' expects as many samples in every input, got 5 in 'x' (axis 0 of (5,)) "
        "and 4 in 'y' (axis 0 of (4, 1)): say with axis where samples are not in front",
    ),
    "axis": (
        lines(3), {"axis": {"x": 1}},
        "fit of 'recorder' expects samples along axis 1 of 'x' (LINE), got shape (B,)",
    ),
    "another axis": (
        lines(3), {"axis": {"z": 1}},
        "fit of 'recorder' expects an axis for inputs out of x, y, got 'z'",
    ),
    "another dtype": (
        {**lines(3), "x": np.zeros(3)}, {},
        "input 'x' (LINE) expects float32 (B,), got float64 (3,): convert it with "
        "x.astype(np.float32), nothing is converted silently",
    ),
    "masked": (
        {**lines(3), "x": np.ma.masked_array(np.zeros(3, np.float32), [False, True, False])}, {},
        "input 'x' (LINE) expects float32 (B,), got a masked array: fill it first, with "
        "x.filled(...)",
    ),
    "another shape": (
        {**lines(3), "y": np.zeros((3, 2), np.int64)}, {},
        "input 'y' (LINE) expects int64 (B, 1), got (3, 2): axis 1 has 2 elements, not 1",
    ),
    "validation": (
        lines(5), {"validation": lines(0)},
        "validation of fit of 'recorder' expects at least one sample, got none in 'x'",
    ),
    "validation of less": (
        lines(5), {"validation": {"x": np.zeros(2, np.float32)}},
        "validation of fit of 'recorder' expects inputs x, y; missing y",
    ),
    "fraction": (
        lines(5), {"validation": 0.05},
        "fit of 'recorder' expects a validation that leaves samples for both, got 0.05 of 5 "
        "samples: 5 to train on and 0 to validate with",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_data_that_does_not_do(name: str) -> None:
    data, options, message = WRONG[name]
    program = Recorder()
    with pytest.raises(dg.InputError) as error:
        fit(program, data, 1, **options)
    assert str(error.value) == message.replace("LINE", program.diagram.observed["x"].where)
    assert program.batches == [] and program.states["step"] == 0


def test_batches_that_a_step_would_refuse_later() -> None:
    x, y = dg.observed("x", (4, 2)), dg.observed("y", (4,), dg.int32)
    cost = dg.cross_entropy(x * dg.parameter("w", (2,)), y)
    program = dg.Diagram("d", cost=cost).compile(dg.SGD(0.1), target="reference")

    def data(count: int) -> dict[str, Array]:
        return {"x": np.zeros((count, 2), np.float32), "y": np.zeros(count, np.int32)}

    for count, size in ((10, 4), (8, None), (8, 2)):
        with pytest.raises(dg.InputError) as error:
            fit(program, data(count), 1, size)
        assert str(error.value) == (
            f"fit of 'd' expects batches of 4 samples, which input 'x' ({x.where}) has, got "
            f"{count} samples in batches of {size or count}: draw it with a named size such as "
            '"B", or give a multiple of 4 samples and batch_size=4'
        )
    given = data(8)
    given["y"][6] = 2
    with pytest.raises(dg.InputError) as error:
        fit(program, given, 1, 4, shuffle=False)
    assert str(error.value) == (
        f"fit of 'd': input 'y' ({y.where}) expects values in [0, 2), got 2 at index (6,): nothing "
        "was changed"
    )
    assert program.states["step"] == 0
    assert fit(program, data(8), 1, 4).epochs[0].number == 1


def test_lists_and_tensors_are_data() -> None:
    torch = pytest.importorskip("torch")
    costs = []
    for x in ([1.0, 2.0, 4.0], (1, 2, 4), torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)):
        program = regression()
        costs += fit(program, {"x": x, "y": [0.0, 0.0, 1.0]}, 2, 2, validation=0.4).cost
    assert costs[:2] == costs[2:4] == costs[4:]


def test_arguments_of_another_kind() -> None:
    program, data = Recorder(), lines(3)
    place = "fit (test_training.py:{})"  # whose helper calls it
    cases: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (
            lambda: fit(program.diagram, data, 1), TypeError,
            f"{place} expects a program first, got a Diagram: compile it, as "
            "diagram.compile(optimizer=dg.Adam(1e-3))",
        ),
        (
            lambda: fit(program, data["x"], 1), TypeError,
            "fit of 'recorder' (test_training.py:{}) expects a dict of arrays by the names of the "
            "inputs, {'x': ..., 'y': ...}, or a tuple of them in this order, got an array float32 "
            "(3,)",
        ),
        (
            lambda: fit(program, data, -1), ValueError,
            f"{place} expects epochs to be an integer of 0 or more, got -1",
        ),
        (
            lambda: fit(program, data, 1.5), TypeError,
            f"{place} expects epochs to be an integer of 0 or more, got 1.5",
        ),
        (
            lambda: fit(program, data, 1, batch_size=0), ValueError,
            f"{place} expects batch_size to be an integer of 1 or more, got 0",
        ),
        (
            lambda: fit(program, data, 1, seed=-1), ValueError,
            f"{place} expects seed to be an integer of 0 or more, got -1",
        ),
        (
            lambda: fit(program, data, 1, shuffle="no"), TypeError,
            f"{place} expects shuffle to be True or False, got 'no'",
        ),
        (
            lambda: fit(program, data, 1, axis="x"), TypeError,
            "fit of 'recorder' (test_training.py:{}) expects axis to be an integer, or a dict of "
            "them by input, got 'x'",
        ),
        (
            lambda: fit(program, data, 1, validation=float("nan")), ValueError,
            f"{place} expects validation (data, or the fraction to hold out) to be a number above "
            "0 and below 1, got nan",
        ),
        (
            lambda: fit(program, data, 1, callbacks=print), TypeError,
            f"{place} expects callbacks to be a list of dg.Callback objects, or functions of an "
            "epoch, got a builtin_function_or_method",
        ),
        (
            lambda: fit(program, data, 1, callbacks=[dg.EarlyStopping]), TypeError,
            f"{place} expects callbacks to be dg.Callback objects or functions of an epoch, got "
            "the class EarlyStopping: make one, as EarlyStopping(...)",
        ),
        (
            lambda: fit(program, data, 1, early_stopping=dg.EarlyStopping), TypeError,
            f"{place} expects early_stopping to be a dg.EarlyStopping(...), got the class "
            "EarlyStopping: make one, as EarlyStopping(...)",
        ),
        (
            lambda: fit(program, data, 1, checkpoint="a"), TypeError,
            f"{place} expects checkpoint to be a dg.Checkpoint(...), got 'a'",
        ),
        (
            lambda: dg.EarlyStopping(0), ValueError,
            f"EarlyStopping ({HERE}) expects patience to be an integer of 1 or more, got 0",
        ),
        (
            lambda: dg.EarlyStopping(None), TypeError,  # type: ignore[arg-type]
            f"EarlyStopping ({HERE}) expects patience to be an integer of 1 or more, got None",
        ),
        (
            lambda: dg.EarlyStopping(1, minimum_improvement=-1), ValueError,
            f"EarlyStopping ({HERE}) expects minimum_improvement to be a number of 0 or more, got "
            "-1",
        ),
        (
            lambda: dg.Checkpoint("a", every=0), ValueError,
            f"Checkpoint ({HERE}) expects every to be an integer of 1 or more, got 0",
        ),
    ]  # fmt: skip
    for make, kind, message in cases:
        with pytest.raises(kind) as error:
            make()
        assert type(error.value) is kind
        assert re.sub(r"\.py:\d+", ".py:{}", str(error.value)) == message
    missing = dg.Checkpoint("no/such/folder/{epoch}")
    with pytest.raises(FileNotFoundError, match="fit cannot save no/such/folder/"):
        fit(program, data, 1, checkpoint=missing)
    assert program.batches == []
