"""`dg.fit(augment=...)`: which samples change, with which draws, and what is refused."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from .images import Array, images

A = dg.augment
STRONG = A.Compose(
    [A.RandomCrop(4, padding=1), A.RandomFlip(), A.RandomAffine(20), A.RandomErasing()]
)


def observed(
    shape: tuple[Any, ...] = ("B", 1, 4, 4), dtype: Any = dg.float32
) -> tuple[dg.Variable, dg.Variable]:
    return dg.observed("x", shape, dtype), dg.observed("y", ("B",), dg.int32)


def classifier(target: Any = "reference") -> dg.Program:
    """A linear classifier of images of 4x4."""
    x, y = observed()
    scores = dg.Linear(16, 3)(x.reshape(("B", 16)))
    diagram = dg.Diagram("classes", {"scores": scores}, cost=dg.cross_entropy(scores, y))
    return diagram.compile(optimizer=dg.SGD(0.1, momentum=0.9), target=target)


def samples(count: int) -> dict[str, Array]:
    return {"x": images(count, 1, 4, 4), "y": np.arange(count, dtype=np.int32) % 3}


class Recorder(dg.Program):
    """Notes the images that its steps are given; its cost is their mean."""

    def __init__(self, *shape: Any) -> None:
        x = dg.observed("x", shape or ("B", 1, 4, 4))
        cost = dg.mean(x * dg.parameter("w", (), init=1.0))
        super().__init__(dg.Diagram("recorder", cost=cost), dg.SGD(0.0), target="reference")
        self.batches: list[Array] = []

    def step(self, /, **inputs: Array) -> Any:
        self.batches.append(inputs["x"].copy())
        return super().step(**inputs)


def fit(program: Any, data: Any, epochs: int, size: Any, augment: Any, **options: Any) -> Any:
    return dg.fit(program, data, epochs, size, progress=False, augment=augment, **options)


def same(one: dg.Program, other: dg.Program) -> bool:
    return all(one.states[name].tobytes() == other.states[name].tobytes() for name in one.states)


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_the_same_seed_trains_the_same_parameters(target: Any) -> None:
    programs = [classifier(target) for _ in range(4)]
    for program, seed, augment in zip(
        programs, (1, 1, 2, 1), (STRONG, STRONG, STRONG, None), strict=True
    ):
        # Without shuffling, so that the seed is that of the draws alone.
        fit(program, samples(10), 2, 4, augment, seed=seed, shuffle=False)
    assert same(programs[0], programs[1])
    assert not same(programs[0], programs[2]) and not same(programs[0], programs[3])


def test_a_run_that_is_resumed_draws_what_one_run_draws(tmp_path: Path) -> None:
    data, whole, first, second = samples(10), classifier(), classifier(), classifier()
    options = {"seed": 5, "validation": 0.2}
    one = fit(whole, data, 4, 4, STRONG, **options)
    two = fit(first, data, 2, 4, STRONG, **options)
    first.save(tmp_path / "half.safetensors")
    second.load(tmp_path / "half.safetensors")
    three = fit(second, data, 2, 4, {"x": STRONG}, **options)
    assert same(whole, second) and not same(whole, first)
    assert one.cost == [*two.cost, *three.cost]


def test_every_step_draws_anew() -> None:
    program = Recorder()
    x = np.repeat(images(1, 1, 4, 4), 12, axis=0)  # equal samples, so that draws alone differ
    fit(program, {"x": x}, 3, 6, A.RandomCrop(4, padding=3))
    batches = [batch.tobytes() for batch in program.batches]
    assert len(batches) == len(set(batches)) == 6
    for batch in program.batches:
        assert len({image.tobytes() for image in batch}) > 1


@pytest.mark.parametrize(("size", "shuffle"), [(4, True), (4, False), (None, False)])
def test_a_function_of_ones_own(size: int | None, shuffle: bool) -> None:
    program, seen = Recorder(), []

    def brighter(images: Array, rng: np.random.Generator) -> Array:
        seen.append(images)
        assert not images.flags.writeable
        return images + 10

    x = images(6, 1, 4, 4)
    kept = x.copy()
    history = fit(program, {"x": x}, 1, size, brighter, shuffle=shuffle)
    assert [len(batch) for batch in seen] == ([4, 2] if size else [6])
    got = np.concatenate(program.batches)
    order = np.lexsort(got.reshape(6, -1).T) if shuffle else np.arange(6)
    wanted = np.lexsort(kept.reshape(6, -1).T) if shuffle else np.arange(6)
    assert (got[order] == kept[wanted] + 10).all()
    assert (x == kept).all()
    assert history.cost[0] == pytest.approx(kept.mean() + 10, rel=1e-5)


def test_samples_that_judge_are_not_changed() -> None:
    def nothing(images: Array, rng: np.random.Generator) -> Array:
        return np.zeros_like(images)

    x = np.ones((10, 1, 4, 4), np.float32)
    for validation in (0.3, {"x": x[:4]}):
        history = fit(Recorder(), {"x": x}, 2, 4, nothing, validation=validation)
        assert history.cost == [0.0, 0.0] and history.validation_cost == [1.0, 1.0]
    stopping = dg.EarlyStopping(patience=5)
    history = fit(Recorder(), {"x": x}, 1, 4, nothing, early_stopping=stopping)
    assert history.cost == [0.0] and history.epochs[0].final_cost == 1.0


def test_inputs_by_name_have_draws_of_their_own() -> None:
    x, y = dg.observed("x", ("B", 1, 4, 4)), dg.observed("y", ("B", 1, 4, 4))
    cost = dg.mean(x * dg.parameter("w", ()) + y)
    program = dg.Diagram("two", cost=cost).compile(dg.SGD(0.1), target="reference")
    seen: dict[str, list[Array]] = {"x": [], "y": []}

    def note(name: str) -> Any:
        def draw(images: Array, rng: np.random.Generator) -> Array:
            seen[name].append(rng.random(3))
            return images.copy()

        return draw

    data = {"x": images(4, 1, 4, 4), "y": images(4, 1, 4, 4)}
    fit(program, data, 2, 2, {"x": note("x"), "y": note("y")})
    assert len({draws.tobytes() for name in seen for draws in seen[name]}) == 8
    alone, seen["y"] = seen["y"], []
    again = dg.Diagram("two", cost=cost).compile(dg.SGD(0.1), target="reference")
    fit(again, data, 2, 2, {"y": note("y")})  # whatever is done to x
    assert [draws.tolist() for draws in alone] == [draws.tolist() for draws in seen["y"]]


def test_samples_along_another_axis_come_in_front() -> None:
    program, shapes = Recorder(3, 4, 5, "B"), []

    def note(images: Array, rng: np.random.Generator) -> Array:
        shapes.append(images.shape)
        return A.RandomFlip(p=1.0)(images, rng)

    x = images(3, 4, 5, 6)
    fit(program, {"x": x}, 1, 6, note, axis=-1)
    assert shapes == [(6, 3, 4, 5)]
    assert (program.batches[0] == x[:, :, ::-1]).all()


def test_a_crop_may_change_sizes_that_have_names() -> None:
    program = Recorder("B", 1, "H", "W")
    fit(program, {"x": images(5, 1, 6, 7)}, 1, 2, A.RandomCrop((3, 2)))
    assert [batch.shape for batch in program.batches] == [(2, 1, 3, 2)] * 2 + [(1, 1, 3, 2)]


def test_which_input_is_meant() -> None:
    x, y = observed(("B", 16))
    cost = dg.cross_entropy(dg.Linear(16, 3)(x), y)
    flat = dg.Diagram("flat", cost=cost).compile(dg.SGD(0.1), target="reference")
    data = {"x": images(4, 16), "y": np.zeros(4, np.int32)}
    name = "fit of 'flat'"
    cases: list[tuple[Any, type[Exception], str]] = [
        (
            A.RandomFlip(), dg.InputError,
            f"{name} expects one input that looks like images, floats (N, C, H, W), for augment, "
            "got 0 (input 'x' (LINE) expects float32 (B, 16); input 'y' (LINE) expects int32 "
            "(B,)): name it, as augment={'x': ...}",
        ),
        (
            {"z": A.RandomFlip()}, dg.InputError,
            f"{name} expects augment for inputs out of x, y, got 'z'",
        ),
        (
            "flip", TypeError,
            f"{name} expects augment to be a function, dg.augment.RandomFlip(), of a batch of "
            "images and a generator, or a dict of them, got 'flip'",
        ),
        (
            {"x": None}, TypeError,
            f"{name} expects augment of 'x' to be a function, dg.augment.RandomFlip(), of a batch "
            "of images and a generator, got None",
        ),
        (
            {"x": lambda images, rng: images.tolist()}, dg.InputError,
            f"{name} expects of augment's <lambda> for input 'x' (LINE) an array, got list",
        ),
        (
            {"x": lambda images, rng: images[1:]}, dg.InputError,
            f"{name} expects of augment's <lambda> for input 'x' (LINE) float32 with 4 samples in "
            "front, got float32 (3, 16)",
        ),
        (
            {"x": lambda images, rng: images.astype(np.float64)}, dg.InputError,
            f"{name} expects of augment's <lambda> for input 'x' (LINE) float32 with 4 samples in "
            "front, got float64 (4, 16)",
        ),
        (
            {"x": lambda images, rng: images[:, 1:]}, dg.InputError,
            f"{name}, augment by <lambda>: input 'x' (LINE) expects float32 (B, 16), got (4, 15): "
            "axis 1 has 15 elements, not 16",
        ),
    ]  # fmt: skip
    for augment, kind, message in cases:
        with pytest.raises(kind) as error:
            fit(flat, data, 1, None, augment)
        shown = re.sub(r"\(\w+.py:\d+\)", "(LINE)", str(error.value))
        assert shown.replace(f"{name} (LINE)", name) == message
        assert flat.states["step"] == 0
    fit(flat, data, 1, None, {"x": lambda images, rng: images * 2})
    assert flat.states["step"] == 1


def test_a_function_that_writes_into_the_batch_is_told() -> None:
    def write(images: Array, rng: np.random.Generator) -> Array:
        images[0] = 1.0
        return images

    with pytest.raises(ValueError, match="read-only"):
        fit(Recorder(), {"x": images(4, 1, 4, 4)}, 1, 2, write)


def test_labels_keep_to_their_images() -> None:
    pairs: list[Array] = []

    class Watching(dg.Program):
        def step(self, /, **inputs: Any) -> Any:
            pairs.append(inputs["x"][:, 0, 0, 0] == inputs["y"])
            return super().step(**inputs)

    data = {"x": np.zeros((9, 1, 4, 4), np.float32), "y": np.arange(9, dtype=np.int32) % 3}
    data["x"][...] = data["y"][:, None, None, None]
    program = Watching(classifier().diagram, dg.SGD(0.1), target="reference")
    fit(program, data, 2, 4, A.RandomFlip(p=0.5))
    assert len(pairs) == 6 and all(pair.all() for pair in pairs)


def test_two_inputs_of_images_need_a_name() -> None:
    x, y = dg.observed("x", ("B", 1, 4, 4)), dg.observed("y", ("B", 1, 4, 4))
    cost = dg.mean(x * dg.parameter("w", ()) + y)
    program = dg.Diagram("two", cost=cost).compile(dg.SGD(0.1), target="reference")
    data = {"x": images(4, 1, 4, 4), "y": images(4, 1, 4, 4)}
    message = r"got 2 \(.*\): name it, as augment=\{'x': ...\}"
    with pytest.raises(dg.InputError, match=message):
        fit(program, data, 1, None, A.RandomFlip())
