"""Data that come in batches: lists, loaders, generators, functions, and the thread that waits."""

import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import Array
from .test_training import fit, points, regression

Batch = dict[str, Array]


def cut(data: Batch, size: int) -> list[Batch]:
    count = len(data["x"])
    return [
        {name: array[i : i + size] for name, array in data.items()} for i in range(0, count, size)
    ]


class Loader:
    """What can be begun anew, as a loader of PyTorch; it writes into the same arrays again."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches
        self.begun = 0

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        self.begun += 1
        room = np.empty((2, 4))
        for batch in self.batches:
            found = room[:, : len(batch["x"])]
            found[0], found[1] = batch["x"], batch["y"]
            yield [found[0], found[1]]
        room[...] = np.nan


def waiting() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "diagrad prefetch"]


@pytest.mark.parametrize("prefetch", [0, 1, 3])
@pytest.mark.parametrize("form", ["list", "tuples", "loader", "function", "generator"])
def test_batches_in_every_form_train_as_arrays_do(form: str, prefetch: int) -> None:
    data, held = points(10), points(7, 1)
    expected = regression()
    wanted = fit(expected, data, 3, 4, shuffle=False, validation=held)
    batches = cut(data, 4)
    options: dict[str, Any] = {}
    given: Any = batches  # a list, for which there is no thread
    if form == "tuples":
        given = [tuple(batch.values()) for batch in batches]
    elif form == "loader":
        given = Loader(batches)
    elif form == "function":
        given = lambda epoch: (batch for batch in batches)  # noqa: E731
    elif form == "generator":
        given, options = (batch for _ in range(5) for batch in batches), {"steps_per_epoch": 3}
    program = regression()
    validation = Loader(cut(held, 4))
    history = fit(program, given, 3, prefetch=prefetch, validation=validation, **options)
    assert history.cost == wanted.cost
    assert history.validation_cost == wanted.validation_cost
    assert program.parameters["w"] == expected.parameters["w"]
    assert validation.begun == 3 and not waiting()
    if form == "generator":
        assert len(list(given)) == 6, "nothing is taken that is not used"


def test_tuples_are_arrays_in_the_order_of_the_inputs() -> None:
    data, held = points(10), points(5, 1)
    first, second = regression(), regression()
    fit(first, data, 2, 4, validation=held)
    history = fit(second, tuple(data.values()), 2, 4, validation=tuple(held.values()))
    assert first.parameters["w"] == second.parameters["w"]
    found = dg.evaluate(second, tuple(held.values()))["cost"]
    assert found == pytest.approx(history.validation_cost[-1])
    assert dg.evaluate(second, cut(held, 2))["cost"] == pytest.approx(found)
    with pytest.raises(dg.InputError, match="expects 2 arrays in the order x, y, got 3: give a di"):
        fit(second, (*data.values(), data["x"]), 1)


def test_a_sum_over_the_samples_is_added_up() -> None:
    data = points(10)
    program = regression(summed=True)
    wanted = fit(regression(summed=True), data, 1, 4, shuffle=False)
    assert fit(program, cut(data, 4), 1).cost == wanted.cost


def test_a_function_is_told_the_epoch() -> None:
    seen = []

    def batches(epoch: int) -> list[Batch]:
        seen.append(epoch)
        return cut(points(4, epoch), 2)

    fit(regression(), batches, 3)
    assert seen == [1, 2, 3]


def test_augmentation_changes_batches_too() -> None:
    double = {"x": lambda x, rng: 2.0 * x}
    data = points(6)
    arrays, batches = regression(), regression()
    fit(arrays, data, 2, 3, shuffle=False, augment=double)
    fit(batches, cut(data, 3), 2, augment=double)
    assert arrays.parameters["w"] == batches.parameters["w"]


def broken(after: int) -> Iterator[Batch]:
    yield from cut(points(10), 2)[:after]
    raise RuntimeError("the disk is full")


@pytest.mark.parametrize("prefetch", [0, 2])
def test_what_a_generator_raises_comes_out_with_its_traceback(prefetch: int) -> None:
    program = regression()
    with pytest.raises(RuntimeError, match="the disk is full") as error:
        fit(program, broken(3), 1, prefetch=prefetch)
    frames = [frame.name for frame in traceback.extract_tb(error.value.__traceback__)]
    assert "broken" in frames and "fit" in frames
    assert program.states["step"] == 3 and not waiting()


def test_what_closing_raises_comes_out_too() -> None:
    class Broken(Iterator[Batch]):
        def __init__(self) -> None:
            self.batches = iter(cut(points(4), 2))

        def __next__(self) -> Batch:
            return next(self.batches)

        def close(self) -> None:
            raise OSError("cannot be closed")

    with pytest.raises(OSError, match="cannot be closed"):
        fit(regression(), lambda epoch: Broken(), 1)
    assert not waiting()


def test_the_thread_ends_where_training_fails_and_closes_what_it_made() -> None:
    closed = threading.Event()

    def batches(epoch: int) -> Iterator[Batch]:
        try:
            while True:
                yield points(2)
        finally:
            closed.set()

    def fail(epoch: Any) -> None:
        raise ZeroDivisionError

    class Stop(dg.Callback):
        def on_train_batch_end(self, state: dg.TrainingState) -> None:
            if state.batch == 4:
                raise ZeroDivisionError

    for callbacks, options in (([Stop()], {}), ([fail], {"steps_per_epoch": 3})):
        closed.clear()
        with pytest.raises(ZeroDivisionError):
            fit(regression(), batches, 2, callbacks=callbacks, **options)
        assert closed.wait(5) and not waiting()


def test_batches_are_made_while_the_program_trains() -> None:
    def slow() -> Iterator[Batch]:
        for _ in range(10):
            time.sleep(0.02)
            yield points(2)

    class Pause(dg.Callback):
        def on_train_batch_end(self, state: dg.TrainingState) -> None:
            pauses.append(threading.active_count())
            time.sleep(0.02)

    pauses: list[int] = []
    alone = threading.active_count()
    fit(regression(), slow(), 1, callbacks=[Pause()], prefetch=2)
    assert max(pauses) == alone + 1 and len(pauses) == 10 and not waiting()


def test_batches_that_do_not_do() -> None:
    data = points(6)
    batches = cut(data, 2)
    name = "fit of 'regression'"
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (iter(batches), {"epochs": 2},
         f"{name} expects batches for 2 epochs, got a list_iterator, which gives them once: give a "
         "list of batches, or a function that is given the epoch's number and makes the batches, "
         "or say steps_per_epoch"),
        (iter(batches), {"epochs": 2, "steps_per_epoch": 2},
         f"{name} expects 2 batches in an epoch, got 1 in epoch 2 before a list_iterator ended; "
         "the steps before are made. Lower steps_per_epoch, or give a list of batches, or a "
         "function that is given the epoch's number and makes the batches"),
        ([], {}, f"{name} expects at least one batch in an epoch, got 0 in epoch 1"),
        ([{"x": data["x"]}], {}, f"batch 1 of epoch 1 of {name} expects inputs x, y; missing y"),
        ([batches[0], {"x": data["x"], "y": data["y"][:4]}], {},
         f"batch 2 of epoch 1 of {name} expects as many samples in every input, got 6 in 'x' (axis "
         "0 of (6,)) and 4 in 'y'"),
        (batches, {"batch_size": 2}, f"{name} expects no batch_size for data that come in batches"),
        (batches, {"validation": 0.2},
         f"{name} expects validation as data where the training data come in batches, got the "
         "fraction 0.2"),
        (batches, {"validation": iter(batches)},
         f"validation of {name} expects batches for every epoch, got a list_iterator, which gives"),
        (data, {"steps_per_epoch": 2}, f"{name} expects steps_per_epoch for data in batches"),
        (iter(batches), {"early_stopping": dg.EarlyStopping(1)},
         f"{name} expects data that can be begun anew after each epoch, for early stopping"),
    ]  # fmt: skip
    for given, options, message in cases:
        with pytest.raises(dg.InputError) as error:
            fit(regression(), given, **{"epochs": 1, **options})
        assert message in str(error.value)
    with pytest.raises(
        TypeError, match="expects a dict of arrays, or a tuple of them in the order"
    ):
        fit(regression(), [data["x"], data["y"]], 1)
    with pytest.raises(TypeError, match="expects data to be a function that gives batches, got 3"):
        fit(regression(), lambda epoch: 3, 1)
    assert not waiting()


def test_a_range_is_told_of_the_call_that_was_made() -> None:
    x, y = dg.observed("x", ("B", 2)), dg.observed("y", ("B",), dg.int32)
    cost = dg.cross_entropy(x * dg.parameter("w", (2,), init=1.0), y)
    program = dg.Diagram("d", cost=cost).compile(dg.SGD(0.1), target="reference")
    batch = np.ones((1, 2), np.float32), np.array([2], np.int32)
    for name, call in (("evaluate", dg.evaluate), ("step", dg.fit)):
        options: dict[str, Any] = {"epochs": 1, "progress": False} if call is dg.fit else {}
        with pytest.raises(dg.InputError) as error:
            call(program, [batch], **options)
        assert str(error.value).startswith(f"{name} of 'd': input 'y' ")


def test_a_loader_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    data = points(9)
    pairs = torch.utils.data.TensorDataset(*map(torch.tensor, data.values()))
    loader = torch.utils.data.DataLoader(pairs, batch_size=4)
    program, arrays = regression(), regression()
    history = fit(program, loader, 2, validation=loader)
    wanted = fit(arrays, data, 2, 4, shuffle=False, validation=data)
    assert history.cost == wanted.cost and history.validation_cost == wanted.validation_cost
