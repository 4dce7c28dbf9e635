"""Arrays that stay on a device: outputs of a run, and inputs that no copy is made of."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.programs.targets import Target
from diagrad.runtime.cuda.arrays import DeviceArray

from ....runtime.cuda.simulated import SimulatedDevice


def doubled(name: str = "x") -> dg.Diagram:
    x = dg.observed(name, ("B", 4))
    return dg.Diagram("doubled", {"y": 2 * x, "sum": dg.sum(x)})


class Foreign:
    """An array of another library, as it speaks of itself."""

    def __init__(self, array: DeviceArray, **instead: Any) -> None:
        self.kept = array
        self.__cuda_array_interface__ = {**array.__cuda_array_interface__, **instead}


class Packed:
    """One that speaks DLPack alone."""

    def __init__(self, array: DeviceArray) -> None:
        self.__dlpack__ = array.__dlpack__
        self.__dlpack_device__ = array.__dlpack_device__


def left(program: dg.Program, **given: Any) -> dict[str, Any]:
    """The outputs of a run, on the device."""
    return program.run(**given, device=True)


X = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_outputs_stay_on_the_device(device: SimulatedDevice) -> None:
    found = left(doubled().compile(target="cuda"), x=X)
    assert isinstance(found["y"], DeviceArray)
    assert found["y"].shape == (3, 4)
    assert found["y"].dtype == np.float32
    np.testing.assert_array_equal(found["y"].numpy(), 2 * X)
    assert float(np.asarray(found["sum"])) == 66


def test_they_are_inputs_again_without_a_copy(device: SimulatedDevice) -> None:
    program = doubled().compile(target="cuda")
    found = left(program, x=X)["y"]
    program.run(x=found, device=True)  # the graph of this way of calling
    before = Counter(device.done)
    again = left(program, x=found)["y"]
    moved = device.done["bytes"] - before["bytes"]
    assert moved < X.nbytes + 64  # flags alone
    np.testing.assert_array_equal(again.numpy(), 4 * X)
    np.testing.assert_array_equal(program.run(x=found, device=False)["y"], 4 * X)
    np.testing.assert_array_equal(found.numpy(), 2 * X)


def test_arrays_of_other_libraries_are_read_where_they_lie() -> None:
    program = doubled().compile(target="cuda")
    found = left(program, x=X)["y"]
    for given in (Foreign(found), Packed(found)):
        np.testing.assert_array_equal(program.run(x=given)["y"], 4 * X)


def test_a_step_takes_them_too() -> None:
    x, y = dg.observed("x", ("B", 4)), dg.observed("y", ("B",))
    net = dg.Linear(4, 1)
    cost = dg.squared_error(net(x)[:, 0], y)
    diagram = dg.Diagram("fit", cost=cost)
    a, b = (diagram.compile(dg.SGD(0.01), target="cuda", seed=1) for _ in range(2))
    lying = left(doubled().compile(target="cuda"), x=X)["y"]
    target = np.ones(3, np.float32)
    assert a.step(x=lying, y=target) == b.step(x=2 * X, y=target)
    for name, array in a.states.items():
        np.testing.assert_array_equal(array, b.states[name])


@pytest.mark.parametrize(
    ("instead", "message"),
    [
        ({"typestr": "<f8", "shape": (3, 2)}, "got float64 (3, 2): convert it with"),
        ({"shape": (4, 3)}, "got (4, 3): axis 1 has 3 elements, not 4"),
        (
            {"strides": (4, 12)},
            "got an array on a device: not contiguous: give it a contiguous copy",
        ),
    ],
)
def test_what_does_not_fit_is_told(instead: dict[str, Any], message: str) -> None:
    program = doubled().compile(target="cuda")
    found = left(program, x=X)["y"]
    with pytest.raises(dg.InputError) as error:
        program.run(x=Foreign(found, **instead))
    assert message in str(error.value)
    assert "input 'x'" in str(error.value)


def test_an_array_on_another_device_is_refused() -> None:
    program = doubled().compile(target="cuda")
    found = left(program, x=X)["y"]
    found.device = SimulatedDevice()
    found.device.number = 1
    with pytest.raises(dg.InputError, match="got an array on a device: on device 1, not on device"):
        program.run(x=found)


def test_labels_on_the_device_are_checked_there() -> None:
    places = dg.observed("places", ("B",), dg.int32)
    lookup = dg.Diagram("lookup", {"y": dg.parameter("table", (4, 2))[places]})
    program = lookup.compile(target="cuda")
    shift = dg.observed("shift", (3,), dg.int32)
    given = dg.Diagram("shift", {"y": shift + 1}).compile(target="cuda")
    fine = left(given, shift=np.array([0, 1, 2], np.int32))["y"]
    assert program.run(places=fine)["y"].shape == (3, 2)
    wrong = left(given, shift=np.array([0, 3, 1], np.int32))["y"]
    with pytest.raises(dg.InputError, match=r"values in \[-4, 4\), got 4 at index \(1,\)"):
        program.run(places=wrong)


def test_other_targets_leave_nothing_on_a_device() -> None:
    found = left(doubled().compile(target="cuda"), x=X)["y"]
    targets: tuple[Target, ...] = ("cpu", "reference")
    for target in targets:
        program = doubled().compile(target=target)
        np.testing.assert_array_equal(program.run(x=found)["y"], 4 * X)
        with pytest.raises(dg.InputError, match="of target cuda for device=True, got " + target):
            program.run(x=X, device=True)
        np.testing.assert_array_equal(program.run(x=X, device=False)["y"], 2 * X)


def test_device_is_true_or_false() -> None:
    with pytest.raises(TypeError, match="device"):
        doubled().compile(target="cuda").run(x=X, device=1)


def test_an_input_may_have_that_name() -> None:
    targets: tuple[Target, ...] = ("cpu", "cuda")
    for target in targets:
        program = doubled("device").compile(target=target)
        np.testing.assert_array_equal(program.run(device=X)["y"], 2 * X)


def test_a_run_in_training_leaves_its_outputs_too() -> None:
    x = dg.observed("x", ("B", 4))
    program = dg.Diagram("d", {"y": dg.Dropout(0.5)(x)}).compile(target="cuda")
    found: Any = program.run("training", x=X, device=True)["y"]
    np.testing.assert_array_equal(found.numpy(), program.run("training", x=X)["y"])
