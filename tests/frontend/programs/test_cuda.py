"""Programs of target "cuda" as a user has them, on a simulated device."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import diagrad as dg
from diagrad.runtime.cuda.arrays import DeviceArray
from diagrad.runtime.cuda.memory import Memory
from diagrad.runtime.cuda.using import use_device

from ...runtime.cuda.simulated import SimulatedDevice

Array = npt.NDArray[Any]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 7)).astype(np.float32)
Y = RNG.integers(0, 5, 16).astype(np.int32)


@pytest.fixture
def device() -> Iterator[SimulatedDevice]:
    made = SimulatedDevice()
    before = use_device(made)
    yield made
    use_device(before)


def drawn() -> dg.Diagram:
    x, y = dg.observed("x", ("B", 7)), dg.observed("y", ("B",), dg.int32)
    net = dg.Chain(
        dg.Linear(7, 9), dg.BatchNorm(9), dg.relu, dg.Dropout(0.2), dg.Linear(9, 5), name="net"
    )
    scores = net(x)
    return dg.Diagram("net", {"scores": scores}, cost=dg.cross_entropy(scores, y))


def both() -> tuple[dg.Program, dg.Program]:
    diagram = drawn()
    return (
        diagram.compile(dg.SGD(0.05, momentum=0.9), target="cuda", seed=1),
        diagram.compile(dg.SGD(0.05, momentum=0.9), target="cpu", seed=1),
    )


def there(device: SimulatedDevice, array: Array) -> DeviceArray:
    staged = Memory(device, "pinned", array.nbytes)
    memory = Memory(device, "device", array.nbytes)
    staged.array(array.shape, array.dtype)[...] = array
    device.copy(memory.address, staged.address, array.nbytes)
    device.synchronize()
    return DeviceArray(device, memory.address, array.shape, array.dtype, memory)


def assert_equal_states(one: dg.Program, two: dg.Program) -> None:
    assert list(one.states) == list(two.states)
    for name in one.states:
        np.testing.assert_allclose(
            one.states[name], two.states[name], rtol=1e-4, atol=1e-5, err_msg=name
        )


def test_steps_and_runs_are_those_of_the_processor(device: SimulatedDevice) -> None:
    cuda, cpu = both()
    for count in (16, 5, 16, 1):
        costs = [p.step(x=X[:count], y=Y[:count]) for p in (cuda, cpu)]
        assert type(costs[0]) is float
        np.testing.assert_allclose(costs[0], costs[1], rtol=1e-5)
        for inputs in ({"x": X}, {"x": X, "y": Y}):
            one, two = (p.run(**inputs) for p in (cuda, cpu))
            assert list(one) == list(two)
            for name in one:
                np.testing.assert_allclose(one[name], two[name], rtol=1e-3, atol=1e-4)
        one, two = (p.run("training", x=X) for p in (cuda, cpu))
        np.testing.assert_allclose(one["scores"], two["scores"], rtol=1e-3, atol=1e-4)
        cuda.redraw()
        cpu.redraw()
    assert_equal_states(cuda, cpu)
    assert device.done["launch"] > 0


def test_parameters_are_read_and_written(device: SimulatedDevice) -> None:
    cuda, cpu = both()
    for program in (cuda, cpu):
        program.parameters["net/0/weight"] = program.parameters["net/0/weight"] * 0.5
        program.states["net/0/bias"][...] = 1.0
    np.testing.assert_allclose(cuda.step(x=X, y=Y), cpu.step(x=X, y=Y), rtol=1e-5)
    assert_equal_states(cuda, cpu)


def test_a_label_outside_its_range_is_explained(device: SimulatedDevice) -> None:
    cuda, _ = both()
    before = {name: array.copy() for name, array in cuda.states.items()}
    wrong = Y.copy()
    wrong[3] = 5
    for labels in (wrong, there(device, wrong)):
        with pytest.raises(dg.InputError, match=r"values in \[0, 5\), got 5 at index \(3,\)"):
            cuda.step(x=X, y=labels)
        for name, array in before.items():
            np.testing.assert_array_equal(cuda.states[name], array)


def test_fit_save_load_and_copies(device: SimulatedDevice, tmp_path: Path) -> None:
    cuda, cpu = both()
    for program in (cuda, cpu):
        dg.fit(program, {"x": X, "y": Y}, epochs=2, batch_size=6)
    assert_equal_states(cuda, cpu)
    twin = cuda.__deepcopy__({})
    assert twin.step(x=X, y=Y) == cuda.step(x=X, y=Y)
    cuda.save(tmp_path / "cuda.safetensors")
    cpu.load(tmp_path / "cuda.safetensors")
    assert_equal_states(cuda, cpu)
    cpu.step(x=X, y=Y)
    cpu.save(tmp_path / "cpu.safetensors")
    twin.load(tmp_path / "cpu.safetensors")
    assert_equal_states(twin, cpu)


def test_arrays_of_the_device_are_inputs_and_outputs(device: SimulatedDevice) -> None:
    cuda, cpu = both()
    x, y = there(device, X), there(device, Y)
    np.testing.assert_allclose(cuda.step(x=x, y=y), cpu.step(x=X, y=Y), rtol=1e-5)
    found = cuda.run(x=x, device=True)["scores"]
    assert isinstance(found, DeviceArray)
    wanted = cuda.run(x=X, device=False)["scores"]
    assert isinstance(wanted, np.ndarray)
    np.testing.assert_array_equal(found.numpy(), wanted)
    trained = cuda.run("training", x=X, device=True)["scores"]
    np.testing.assert_array_equal(np.asarray(trained), cuda.run("training", x=X)["scores"])


def test_arrays_of_the_device_must_be_what_is_expected(device: SimulatedDevice) -> None:
    cuda, cpu = both()
    with pytest.raises(dg.InputError, match=r"expects float32 \(B, 7\), got float64 \(16, 7\)"):
        cuda.step(x=there(device, X.astype(np.float64)), y=Y)
    with pytest.raises(dg.InputError, match=r"axis 1 has 6 elements, not 7"):
        cuda.step(x=there(device, X[:, :6].copy()), y=Y)
    other = SimulatedDevice()
    other.number = 1
    with pytest.raises(dg.InputError, match="got an array on a device: on device 1, not on device"):
        cuda.step(x=there(other, X), y=Y)
    with pytest.raises(dg.InputError, match="of target cuda for device=True, got cpu"):
        cpu.run(x=X, device=True)
    assert cpu.run(x=X, device=False).keys() == {"scores"}


def test_a_variable_may_be_called_device(device: SimulatedDevice) -> None:
    x = dg.observed("device", (3,))
    program = dg.Diagram("named", {"y": x * 2.0}).compile(target="cuda")
    np.testing.assert_array_equal(program.run(device=X[0, :3])["y"], X[0, :3] * 2)


def test_reports(device: SimulatedDevice) -> None:
    cuda, _ = both()
    cuda.step(x=X, y=Y)
    text = cuda.explain()
    assert "program 'net' on target cuda" in text
    assert " launches, " in text and " one after another" in text
    assert cuda.kernels
    with pytest.raises(dg.InputError, match="expects target cpu, got cuda"):
        cuda.profile(x=X, y=Y)


def test_without_a_device_there_is_one_error() -> None:
    if dg.targets()["cuda"].usable:
        pytest.skip("there is a device")
    with pytest.raises(
        dg.TargetError, match=r"expects a machine for target cuda, but .*targets\(\)"
    ):
        drawn().compile(target="cuda")
