"""Moving averages of a block's parameters: MoCo's loop in PyTorch, files, copies, loops, bind."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target, assert_close, text

RNG = np.random.default_rng(3)
X1, X2 = RNG.normal(size=(2, 12, 6))


def byol(decay: float = 0.9, optimizer: Any = None, target: Target = "cpu") -> dg.Program:
    """Two branches, a predictor on the first one."""
    x1, x2 = dg.observed("x1", ("B", 6), "float64"), dg.observed("x2", ("B", 6), "float64")
    encoder = dg.Chain(
        dg.Linear(6, 5, dtype="float64"), dg.tanh, dg.Linear(5, 3, dtype="float64"), name="encoder"
    )
    second = dg.MovingAverage(encoder, decay, name="target")
    predictor = dg.Linear(3, 3, dtype="float64", name="predictor")
    code, wanted = encoder(x1), second(x2)
    cost = dg.squared_error(predictor(code), dg.stop_gradient(wanted))
    diagram = dg.Diagram("byol", {"code": code, "wanted": wanted}, cost)
    return diagram.compile(optimizer=optimizer or dg.SGD(0.5), target=target, seed=4)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("decay", [0.0, 0.9, 1.0])
def test_steps_are_those_of_moco(decay: float, target: Target) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is compared with where it is installed")
    program = byol(decay, target=target)
    names = ["encoder/0/weight", "encoder/0/bias", "encoder/2/weight", "encoder/2/bias"]
    names += ["predictor/weight", "predictor/bias"]
    held = {n: torch.tensor(program.parameters[n].copy(), requires_grad=True) for n in names}
    average = {n: held[n].detach().clone() for n in names[:4]}
    x1, x2 = torch.tensor(X1), torch.tensor(X2)

    def encode(x: Any, w: Any) -> Any:
        inner = torch.tanh(x @ w["encoder/0/weight"] + w["encoder/0/bias"])
        return inner @ w["encoder/2/weight"] + w["encoder/2/bias"]

    optimizer = torch.optim.SGD(held.values(), lr=0.5)
    for _ in range(5):
        with torch.no_grad():
            for n, item in average.items():
                item.mul_(decay).add_(held[n], alpha=1 - decay)
        said = encode(x1, held) @ held["predictor/weight"] + held["predictor/bias"]
        cost = torch.nn.functional.mse_loss(said, encode(x2, average).detach())
        optimizer.zero_grad()
        cost.backward()
        assert_close(program.run("training", x1=X1, x2=X2)["wanted"], encode(x2, average), 1e-11)
        assert_close(program.step(x1=X1, x2=X2), cost.item(), 1e-11)
        optimizer.step()
        assert_close(program.run(x1=X1, x2=X2)["wanted"], encode(x2, average), 1e-11)
    for n, item in held.items():
        assert_close(program.parameters[n], item.detach(), 1e-10)
    for n, item in average.items():
        assert_close(program.states[f"target/{n}"], item, 1e-11)


def test_averages_are_states_that_begin_as_the_parameters() -> None:
    program = byol()
    assert list(program.parameters) == [
        "encoder/0/weight",
        "encoder/0/bias",
        "encoder/2/weight",
        "encoder/2/bias",
        "predictor/weight",
        "predictor/bias",
    ]
    averages = [name for name in program.states if name.startswith("target/")]
    assert len(averages) == 4
    for name in averages:
        assert (program.states[name] == program.states[name.removeprefix("target/")]).all()
        assert program.states[name] is not program.states[name.removeprefix("target/")]
    before = dict(program.run(x1=X1, x2=X2))
    program.run("training", x1=X1, x2=X2)
    assert (program.run(x1=X1, x2=X2)["wanted"] == before["wanted"]).all()


def test_no_gradient_reaches_the_parameters() -> None:
    x = dg.observed("x", ("B", 3))
    layer = dg.Linear(3, 2, name="layer")
    total = dg.sum(dg.MovingAverage(layer, 0.5, name="slow")(x))
    outputs = {"x": dg.gradient(total, x), "w": dg.gradient(total, layer.weight)}
    program = dg.Diagram("test", outputs, cost=total).compile(optimizer=dg.SGD(0.1))
    value = np.ones((2, 3), np.float32)
    found = program.run("training", x=value)
    assert (found["w"] == 0).all() and found["x"].any()
    weight = program.parameters["layer/weight"].copy()
    program.step(x=value)
    assert (program.parameters["layer/weight"] == weight).all()


def test_files(tmp_path: Path) -> None:
    program = byol()
    for _ in range(3):
        program.step(x1=X1, x2=X2)
    program.save(tmp_path / "byol.safetensors")
    other = byol()
    other.load(tmp_path / "byol.safetensors")
    for name, array in program.states.items():
        np.testing.assert_array_equal(other.states[name], array, name)
    assert other.step(x1=X1, x2=X2) == program.step(x1=X1, x2=X2)


def test_copies() -> None:
    x = dg.observed("x", ("B", 3))

    class Pair(dg.Block):
        def __init__(self) -> None:
            self.fast = dg.Linear(3, 2)
            self.slow = dg.MovingAverage(self.fast, 0.5)

        def forward(self, x: dg.Variable) -> dg.Variable:
            result: dg.Variable = self.fast(x) - self.slow(x)
            return result

    pair = Pair()
    twin = copy.deepcopy(pair)
    (average, _), (own, _) = pair.slow.averages, twin.slow.averages
    assert average is not own and own.init is twin.fast.weight and own.kind == "state"
    assert [*pair.parameters()] == ["fast/weight", "fast/bias"] == [*twin.parameters()]
    # A copy of the second branch alone follows the same block.
    alone = copy.deepcopy(pair.slow)
    assert alone.averages[0].init is pair.fast.weight
    y = dg.Diagram("test", twin(x), cost=dg.mean(twin(x))).compile(optimizer=dg.SGD(1.0))
    value = RNG.normal(size=(4, 3)).astype("f")
    assert (y.run(x=value)["pair"] == 0).all() if "pair" in y.run(x=value) else True
    y.step(x=value)
    assert any(array.any() for array in y.run(x=value).values())


def test_what_the_block_keeps_is_kept_twice() -> None:
    x = dg.observed("x", ("B", 3))
    norm = dg.BatchNorm(3, name="norm")
    slow = dg.MovingAverage(norm, 0.5, name="slow")
    outputs = {"fast": norm(x), "slow": slow(2.0 * x)}
    diagram = dg.Diagram("test", outputs, cost=dg.mean(outputs["fast"] ** 2.0))
    program = diagram.compile(optimizer=dg.SGD(0.1))
    value = RNG.normal(1.0, size=(50, 3)).astype("f")
    program.step(x=value)
    assert_close(program.states["norm/running_mean"], 0.1 * value.mean(0), 1e-5)
    assert_close(program.states["slow/norm/running_mean"], 0.2 * value.mean(0), 1e-5)


def test_an_integer_parameter_is_taken_as_it_is() -> None:
    class Chosen(dg.Block):
        def __init__(self) -> None:
            self.weight = dg.parameter("weight", (4,), 1.0)
            self.place = dg.parameter("place", (), 2, "int32")

        def forward(self, x: dg.Variable) -> dg.Variable:
            result: dg.Variable = x * dg.take(self.weight, self.place)
            return result

    x = dg.observed("x", ())
    slow = dg.MovingAverage(Chosen(), 0.5)
    program = dg.Diagram("test", {"y": slow(x)}).compile()
    assert program.run(x=np.float32(3))["y"] == 3


def test_a_block_with_a_loop_is_averaged_as_a_whole() -> None:
    x = dg.observed("x", ("T", "B", 3))
    fast = dg.RNN(3, 2, name="fast")
    slow = dg.MovingAverage(fast, 0.5, name="slow")
    cost = dg.mean((fast(x)[0] - 1.0) ** 2.0) + 0.0 * dg.sum(slow(x)[0])
    program = dg.Diagram("test", {"slow": slow(x)[0]}, cost).compile(optimizer=dg.SGD(1.0))
    value = RNG.normal(size=(5, 2, 3)).astype("f")
    before = program.run(x=value)["slow"]
    program.step(x=value)
    program.step(x=value)
    assert not np.allclose(program.run(x=value)["slow"], before)
    # Not one that is applied at each step of a loop: a step moves an average once.
    t = dg.loop("t")
    with pytest.raises(dg.DiagramError, match="expects a variable outside of loops"):
        dg.Diagram("test", {"y": t.stack(dg.MovingAverage(dg.Linear(3, 2))(t.each(x)))})


def test_with_weights_for_each_sample() -> None:
    x, w = dg.observed("x", ("T", "B", 3)), dg.observed("w", ("B", 12))
    layer = dg.Linear(3, 3, name="layer")
    slow = dg.MovingAverage(layer, 0.5, name="slow")

    class Both(dg.Block):
        def __init__(self) -> None:
            self.layer, self.slow = layer, slow

        def forward(self, x: dg.Variable) -> dg.Variable:
            result: dg.Variable = self.slow(x) + 0.0 * self.layer(x)
            return result

    y = dg.bind(Both(), w)(dg.sum(x, 0))
    program = dg.Diagram("bound", {"y": y}, cost=dg.mean(y)).compile(optimizer=dg.SGD(0.0))
    values = RNG.normal(size=(5, 2, 3)).astype("f"), RNG.normal(size=(2, 12)).astype("f")
    start = program.states["both/slow/layer/weight"].copy()
    found = program.run("training", x=values[0], w=values[1])["y"]
    for sample in range(2):
        weight = 0.5 * start + 0.5 * values[1][sample, :9].reshape(3, 3)
        bias = 0.5 * values[1][sample, 9:]
        assert_close(found[sample], values[0].sum(0)[sample] @ weight + bias, 1e-4, 1e-5)
    program.step(x=values[0], w=values[1])
    mean = 0.5 * start + 0.5 * values[1][:, :9].mean(0).reshape(3, 3)
    assert_close(program.states["both/slow/layer/weight"], mean, 1e-5, 1e-6)


def test_mistakes_are_explained() -> None:
    with pytest.raises(TypeError) as caught:
        dg.MovingAverage(dg.tanh)  # type: ignore[arg-type]
    assert text(caught.value) == "MovingAverage (m.py:1) expects a block, got function"
    with pytest.raises(dg.DiagramError) as wrong:
        dg.MovingAverage(dg.Flatten(name="flat"))
    assert text(wrong.value) == (
        "MovingAverage (m.py:1) expects a block with parameters, got Flatten 'flat'"
    )
    u = dg.parameter("u", (3, 3))
    layer = dg.Linear(3, 3, weight=dg.softplus(u), name="layer")
    with pytest.raises(dg.DiagramError) as outside:
        dg.MovingAverage(layer)
    assert text(outside.value) == (
        "MovingAverage (m.py:1) expects a block that holds all of its parameters, got Linear "
        "'layer', whose weight is computed from parameter 'u' (m.py:1)"
    )
    with pytest.raises(ValueError, match="expects decay"):
        dg.MovingAverage(dg.Linear(2, 2), 1.5)


def test_a_state_may_begin_as_a_parameter_and_as_nothing_else() -> None:
    w = dg.parameter("w", (2, 2))
    kept = dg.state("kept", (2, 2), init=w)
    dg.update(kept, 2.0 * kept)
    program = dg.Diagram("test", {"y": kept + w}).compile(seed=5)
    assert (program.states["kept"] == program.parameters["w"]).all()
    alone = dg.Diagram("test", {"y": kept + 0.0}).compile(seed=5)
    assert (alone.states["kept"] == program.states["kept"]).all()
    bad = dg.state("bad", (2, 2), init=w + 1.0)
    dg.update(bad, 2.0 * bad)
    with pytest.raises(dg.InputError) as caught:
        dg.Diagram("test", {"y": bad + 0.0}).compile()
    assert "expects a number, an array, an initialiser or a parameter, got" in text(caught.value)
