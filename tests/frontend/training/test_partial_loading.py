"""A part of a file, or of another program: what is taken, what is kept, and what is said of it."""

import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import Array

ENCODER = ["net/0/weight", "net/0/bias"]
STATES = ["net/1/running_mean", "net/1/running_var"]
NORM = ["net/1/weight", "net/1/bias"]


def program(
    classes: int = 3,
    optimizer: Any = None,
    seed: int = 0,
    dtype: str = "float32",
    bias: bool = True,
) -> Any:
    """An encoder, a norm with averages, and a head for some classes."""
    x = dg.observed("x", ("B", 4), dtype)
    net = dg.Chain(
        dg.Linear(4, 5, dtype=dtype),
        dg.BatchNorm(5, dtype=dtype),
        dg.Linear(5, classes, bias=bias, dtype=dtype),
        name="net",
    )
    y = net(x)
    diagram = dg.Diagram(f"of {classes}", {"y": y}, cost=dg.mean(y * y))
    return diagram.compile(optimizer, target="reference", seed=seed)


def stepped(**options: Any) -> Any:
    made = program(optimizer=dg.Adam(0.1), **options)
    for x in np.random.default_rng(0).normal(size=(2, 6, 4)).astype(np.float32):
        made.step(x=x)
    return made


def arrays(of: Any) -> dict[str, Array]:
    return {name: array.copy() for name, array in of.states.items()}


def test_only_some_are_taken(tmp_path: Path) -> None:
    source = stepped()
    source.save(tmp_path / "all.safetensors")
    cases: dict[Any, list[str]] = {
        "net/0": ENCODER,
        "net/1/*": [*NORM, *STATES],
        "*/bias": [ENCODER[1], NORM[1], "net/2/bias"],
        ("net/0/weight", "*running*"): [ENCODER[0], *STATES],
    }
    for only, names in cases.items():
        other = program(optimizer=dg.Adam(0.1), seed=1)
        before = arrays(other)
        for loaded in (other.load(tmp_path / "all.safetensors", only=only), None):
            for name, array in other.states.items():
                expected = source.states[name] if name in names else before[name]
                np.testing.assert_array_equal(array, expected)
            if loaded is not None:
                assert set(loaded.taken) == set(names)
                assert set(loaded.left) == {*source.states} - set(names) == set(loaded.kept)
            other = program(optimizer=dg.Adam(0.1), seed=1)
            assert set(source.copy_to(other, only=only).taken) == set(names)


def test_another_head_keeps_its_own(tmp_path: Path) -> None:
    path = tmp_path / "three.safetensors"
    source, other = stepped(), program(7, seed=1)
    source.save(path)
    head = {name: other.parameters[name].copy() for name in ("net/2/weight", "net/2/bias")}
    with pytest.raises(
        dg.CheckpointError, match=r"different: expected net/2/weight float32 \(5, 7\)"
    ):
        other.load(path)
    loaded = other.load(path, strict=False)
    assert set(loaded.taken) == {*ENCODER, *NORM, *STATES}
    assert loaded.kept == loaded.different == ("net/2/weight", "net/2/bias")
    assert repr(loaded).splitlines()[-2:] == [
        "  kept as it was: net/2/weight, which is different there",
        "  kept as it was: net/2/bias, which is different there",
    ]
    for name, array in other.parameters.items():
        np.testing.assert_array_equal(array, head.get(name, source.parameters[name]))
    copied = source.copy_to(program(7, seed=1), strict=False)
    assert set(copied.taken) == {*ENCODER, *NORM, *STATES} and copied.file == "of 3"
    assert copied.different == ("net/2/weight", "net/2/bias") == copied.left[::-1]


def test_what_is_missing_is_kept_where_it_may() -> None:
    source, other = stepped(bias=False), program(seed=1)
    with pytest.raises(dg.CheckpointError) as error:
        source.copy_to(other)
    assert str(error.value) == (
        "'of 3' does not fit program 'of 3':\n  missing: net/2/bias float32 (3,)"
    )
    copied = source.copy_to(other, strict=False)
    assert copied.kept == ("net/2/bias",) and copied.different == ()
    assert source.copy_to(other, only="net/0").taken == tuple(ENCODER)


def test_a_copy_is_of_the_same_numbers_and_leaves_training_alone() -> None:
    source, other = stepped(), program(optimizer=dg.Adam(0.1), seed=1)
    before = arrays(other)
    copied = source.copy_to(other)
    assert set(copied.taken) == {*ENCODER, *NORM, *STATES, "net/2/weight", "net/2/bias"}
    for name, array in other.states.items():
        np.testing.assert_array_equal(
            array, source.states[name] if name in copied.taken else before[name]
        )
    assert copied.left == () and other.states["step"] == 0
    source.parameters["net/0/bias"] = np.ones(5, np.float32)
    assert (other.parameters["net/0/bias"] != 1.0).all()


def test_a_copy_to_another_precision() -> None:
    source, wide = stepped(), program(dtype="float64", seed=1)
    source.copy_to(wide)
    np.testing.assert_array_equal(
        wide.parameters["net/0/weight"], source.parameters["net/0/weight"]
    )
    assert wide.parameters["net/0/weight"].dtype == np.float64
    wide.parameters["net/0/bias"] = np.full(5, 0.1)
    wide.copy_to(source)
    np.testing.assert_array_equal(source.parameters["net/0/bias"], np.full(5, 0.1, np.float32))


def test_what_is_tied_is_named_only_where_it_is_meant(tmp_path: Path) -> None:
    """A file of two weights, for a program in which they are one."""

    def drawn(tied: bool) -> Any:
        first, second = dg.Linear(3, 3, bias=False, name="a"), dg.Linear(3, 3, bias=False, name="b")
        if tied:
            dg.tie(first.weight, second.weight)
        y = second(first(dg.observed("x", (1, 3))))
        return dg.Diagram("d", {"y": y}).compile(target="reference")

    free, tied = drawn(False), drawn(True)
    with pytest.raises(dg.CheckpointError, match="but b/weight is tied to a/weight"):
        free.copy_to(tied)
    assert free.copy_to(tied, only="a").left == ("b/weight",)
    assert free.copy_to(tied, strict=False).left == ("b/weight",)


def test_errors_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "all.safetensors"
    source, other = stepped(), program(seed=1)
    source.save(path)
    before = arrays(other)
    place = r" \(test_partial_loading.py:\d+\) expects only= to name arrays of program 'of 3', got"
    for only in ("encoder/*", ["net/0", "net/9"], "optimizer/*", "step"):
        with pytest.raises(dg.InputError, match=f"load of 'all.safetensors'{place}"):
            other.load(path, only=only)
        with pytest.raises(dg.InputError, match=f"copy_to of 'of 3'{place}"):
            source.copy_to(other, only=only)
    for wrong in (3, [], [3]):
        with pytest.raises(TypeError, match="only to be a path or a pattern of paths, or several"):
            other.load(path, only=cast(Any, wrong))
    with pytest.raises(TypeError, match="expects a program to copy to, got 3"):
        source.copy_to(cast(Any, 3))
    with pytest.raises(TypeError, match="strict to be True or False"):
        other.load(path, strict=cast(Any, 1))
    alone = dg.Diagram("v", {"y": dg.parameter("v", (2,)) * 1.0}).compile(target="reference")
    with pytest.raises(dg.CheckpointError, match=re.escape("missing: v float32 (2,)")):
        source.copy_to(alone, strict=False)
    for name, array in other.states.items():
        np.testing.assert_array_equal(array, before[name])


def test_a_dict_of_arrays_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "arrays.safetensors"
    source = program()
    given = {
        **source.parameters, "mask": np.array([True, False]), "ids": np.arange(6).reshape(2, 3).T,
        "half": np.array([0.5, 1.5], np.float16), "number": 3.5, "list": [[1, 2]],
        "big": np.arange(3, dtype=">i4"),
    }  # fmt: skip
    dg.save_state(path, given)
    found = dg.load_state(path)
    assert found.keys() == given.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, given[name])
        assert array.dtype == np.asarray(given[name]).dtype.newbyteorder("=")
    other = program(seed=1)
    assert set(other.load(path, parameters_only=True).taken) == {*source.parameters}
    source.save(path)  # a program's own file is read as well
    assert dg.load_state(path).keys() == source.states.keys()
    dg.save_state(path, {})
    assert dg.load_state(path) == {}


def test_what_cannot_be_saved_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "arrays.safetensors"
    dg.save_state(path, {"a": np.ones(2)})
    before = path.read_bytes()
    wrong: list[tuple[Any, type[Exception], str]] = [
        ([1.0], TypeError, "expects arrays by name, got"),
        ({3: np.ones(2)}, TypeError, "expects names that are texts, got 3"),
        ({"a": "text"}, dg.InputError, "expects an array of numbers for 'a', got 'text' of dtype"),
        ({"a": np.ones(2, complex)}, dg.InputError, "of dtype complex128"),
        ({"a": np.ma.masked_equal([1, 2], 1)}, dg.InputError, "got a masked array"),
        ({"a": [[1], [2, 3]]}, dg.InputError, "expects an array of numbers for 'a', got"),
    ]
    for arrays, kind, message in wrong:
        with pytest.raises(kind, match=message):
            dg.save_state(path, arrays)
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]
    path.write_bytes(before[:-3])
    with pytest.raises(
        dg.CheckpointError, match=r"'arrays\.safetensors' is no complete safetensors"
    ):
        dg.load_state(path)
    with pytest.raises(OSError, match="it is a folder"):
        dg.load_state(tmp_path)
    with pytest.raises(FileNotFoundError, match="cannot read"):
        dg.load_state(tmp_path / "none.safetensors")
