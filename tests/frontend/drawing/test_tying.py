"""Tied parameters: one variable with one name, stepped once, decayed once, saved once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target
from ..source import draw, mistake_in

RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 4))
WEIGHT = RNG.normal(size=(4, 4)) / 2


class Autoencoder(dg.Block):
    """Both layers have one weight, if they are tied."""

    def __init__(self, tied: bool = True, init: Any = None) -> None:
        self.encoder = dg.Linear(4, 4, weight_init=init, bias=False, dtype="float64")
        self.decoder = dg.Linear(4, 4, dtype="float64")
        if tied:
            dg.tie(self.encoder.weight, self.decoder.weight)

    def forward(self, x: Any) -> Any:
        """The reconstruction."""
        return self.decoder(dg.tanh(self.encoder(x)))


def diagram(tied: bool = True) -> Any:
    net = Autoencoder(tied, WEIGHT)
    x = dg.observed("x", ("B", 4), "float64")
    return dg.Diagram("tied", {"y": net(x)}, cost=dg.mean((net(x) - x) ** 2))


def slopes(weight: Any, bias: Any) -> tuple[Any, Any]:
    """The gradients of the cost above, written out in NumPy."""
    hidden = np.tanh(X @ weight)
    back = 2 * (hidden @ weight + bias - X) / X.size
    inner = (back @ weight.T) * (1 - hidden**2)
    return hidden.T @ back + X.T @ inner, back.sum(0)


def test_the_lists_of_parameters_name_the_first_one() -> None:
    net = Autoencoder()
    w = net.encoder.weight
    assert net.parameters() == {"encoder/weight": w, "decoder/bias": net.decoder.bias}
    assert net.encoder.parameters() == {"weight": w}
    assert net.decoder.parameters() == {"weight": w, "bias": net.decoder.bias}
    assert net.parameter_count == 20


def test_a_name_that_the_block_has_itself_stays_its_own() -> None:
    class Other(dg.Block):
        def __init__(self, shared: Any) -> None:
            self.weight = dg.parameter("weight", (4, 4))
            self.second = dg.parameter("second", (4, 4))
            dg.tie(shared, self.second)

    shared = dg.Linear(4, 4).weight
    net = Other(shared)
    assert net.parameters() == {"weight": net.weight, "second": shared}


def test_a_diagram_has_it_once() -> None:
    found = diagram()
    assert list(found.parameters) == ["autoencoder/encoder/weight", "autoencoder/decoder/bias"]
    assert found.summary().parameters == 20
    nodes = found.graph.nodes(data=True)
    assert [n for n, data in nodes if data["kind"] == "parameter"] == list(found.parameters)
    weight = "autoencoder/encoder/weight"
    readers = set(found.graph.successors(weight))
    assert {"autoencoder/encoder", "autoencoder/decoder"} <= readers


def test_it_starts_with_what_the_first_one_says() -> None:
    program = diagram().compile()
    np.testing.assert_array_equal(program.parameters["autoencoder/encoder/weight"], WEIGHT)


@pytest.mark.parametrize("target", TARGETS)
def test_its_gradient_is_the_sum_from_everywhere_whichever_is_asked_for(target: Target) -> None:
    net = Autoencoder(True, WEIGHT)
    x = dg.observed("x", ("B", 4), "float64")
    cost = dg.mean((net(x) - x) ** 2)
    found = dg.gradient(cost, [net.encoder.weight, net.decoder.weight])
    program = dg.Diagram("tied", dict(zip("ed", found, strict=True))).compile(target=target)
    values = program.run(x=X)
    wanted, _ = slopes(WEIGHT, 0.0)
    np.testing.assert_allclose(values["e"], wanted, rtol=1e-12)
    np.testing.assert_array_equal(values["e"], values["d"])


def test_tying_after_a_gradient_was_drawn() -> None:
    net = Autoencoder(False, WEIGHT)
    x = dg.observed("x", ("B", 4), "float64")
    (slope,) = dg.gradient(dg.mean((net(x) - x) ** 2), [net.decoder.weight])
    dg.tie(net.encoder.weight, net.decoder.weight)
    found = dg.Diagram("tied", slope).compile(target="reference").run(x=X)["output"]
    np.testing.assert_allclose(found, slopes(WEIGHT, 0.0)[0], rtol=1e-12)


def test_what_computes_the_others_may_be_no_parameter() -> None:
    u = dg.parameter("u", (4,), init=np.array([1.0, 2.0, 3.0, 4.0]))
    layer = dg.Linear(4, 4, bias=False)
    dg.tie(dg.share(u, np.add.outer(np.arange(4), np.arange(4)) % 4), layer.weight)
    assert layer.parameters() == {}
    x = dg.observed("x", ("B", 4))
    found = dg.Diagram("tied", layer(x))
    assert list(found.parameters) == ["u"]
    values = found.compile().run(x=np.eye(4, dtype=np.float32)[:1])["output"]
    np.testing.assert_array_equal(values, [[1, 2, 3, 4]])


def test_several_are_tied_at_once_and_in_a_chain() -> None:
    a, b, c, d = (dg.parameter(name, (2,)) for name in "abcd")
    dg.tie(b, c)
    dg.tie(a, b, d)
    found = dg.Diagram("tied", a + b + c + d)
    assert list(found.parameters) == ["a"]


class Updates:
    """Optimizers in NumPy, for one step and the next on one array."""

    def sgd(self, w: Any, g: Any) -> Any:
        return w - 0.1 * (g + 0.3 * w)

    def momentum(self, w: Any, g: Any) -> Any:
        self.velocity = 0.9 * getattr(self, "velocity", 0.0) + g + 0.3 * w
        return w - 0.1 * self.velocity

    def adamw(self, w: Any, g: Any) -> Any:
        self.count = getattr(self, "count", 0) + 1
        self.mean = 0.9 * getattr(self, "mean", 0.0) + 0.1 * g
        self.square = 0.999 * getattr(self, "square", 0.0) + 0.001 * g * g
        mean, square = self.mean / (1 - 0.9**self.count), self.square / (1 - 0.999**self.count)
        return w - 0.1 * 0.3 * w - 0.1 * mean / (np.sqrt(square) + 1e-8)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("name", "optimizer", "memory"),
    [
        ("sgd", dg.SGD(0.1, weight_decay=0.3), []),
        ("momentum", dg.SGD(0.1, momentum=0.9, weight_decay=0.3), ["momentum"]),
        ("adamw", dg.AdamW(0.1, weight_decay=0.3), ["mean", "square"]),
    ],
)
def test_a_step_and_its_decay_happen_once(
    name: str, optimizer: Any, memory: list[str], target: Target
) -> None:
    program = diagram().compile(optimizer=optimizer, target=target)
    names = ["autoencoder/encoder/weight", "autoencoder/decoder/bias"]
    wanted = [*names, "step", "optimizer/learning_rate"]
    wanted += [*(f"optimizer/{n}/{kind}" for n in names for kind in memory)]
    assert sorted(program.states) == sorted(wanted)
    values, steps = [WEIGHT, np.zeros(4)], [Updates(), Updates()]
    for _ in range(3):
        program.step(x=X)
        found = zip(steps, values, slopes(*values), strict=True)
        values = [getattr(step, name)(value, slope) for step, value, slope in found]
    for path, value in zip(names, values, strict=True):
        np.testing.assert_allclose(program.parameters[path], value, rtol=1e-9, atol=1e-12)


def test_clipping_counts_it_once() -> None:
    program = diagram().compile(optimizer=dg.SGD(1.0, clip=dg.clip_norm(0.01)), target="reference")
    program.step(x=X)
    weight, bias = slopes(WEIGHT, 0.0)
    norm = np.sqrt((weight**2).sum() + (bias**2).sum())
    assert norm > 0.01
    np.testing.assert_allclose(
        program.parameters["autoencoder/encoder/weight"],
        WEIGHT - 0.01 / (norm + 1e-6) * weight,
        rtol=1e-9,
    )


def states(program: Any) -> dict[str, Any]:
    return {name: array.copy() for name, array in program.states.items()}


def test_saving_and_loading_leave_it_tied(tmp_path: Path) -> None:
    """After a load both layers read one array, and a step changes it once."""
    path = tmp_path / "model.safetensors"
    saved = diagram().compile(optimizer=dg.Adam(0.1), target="reference")
    saved.step(x=X)
    saved.save(path)
    loaded = diagram().compile(optimizer=dg.Adam(0.1), target="reference", seed=1)
    loaded.load(path)
    for program in (saved, loaded):
        program.step(x=X)
    assert states(saved).keys() == states(loaded).keys()
    for name, array in states(saved).items():
        np.testing.assert_array_equal(loaded.states[name], array)


def test_a_file_with_two_weights_does_not_untie_it(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    diagram(tied=False).compile(target="reference").save(path)
    program = diagram().compile(target="reference")
    before = states(program)
    for options in ({}, {"parameters_only": True}):
        with pytest.raises(dg.CheckpointError) as error:
            program.load(path, **options)
        assert str(error.value) == (
            "'model.safetensors' does not fit program 'tied':\n"
            "  unexpected: autoencoder/decoder/weight float64 (4, 4), but "
            "autoencoder/decoder/weight is tied to autoencoder/encoder/weight"
        )
    assert before.keys() == states(program).keys()
    for name, array in before.items():
        np.testing.assert_array_equal(program.states[name], array)


def test_a_file_with_one_weight_does_not_tie_two(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    diagram().compile(target="reference").save(path)
    with pytest.raises(dg.CheckpointError) as error:
        diagram(tied=False).compile(target="reference").load(path)
    assert str(error.value) == (
        "'model.safetensors' does not fit program 'tied':\n"
        "  missing: autoencoder/decoder/weight float64 (4, 4)"
    )


def test_what_is_bound_to_it_is_bound_wherever_it_stands() -> None:
    """One value for the weight serves both layers; the second name takes none of its own."""
    net = Autoencoder(True, WEIGHT)
    x, w = dg.observed("x", ("B", 4), "float64"), dg.observed("w", (4, 4), "float64")
    given = RNG.normal(size=(4, 4))
    whole, part = dg.bind(net, {"encoder/weight": w}), dg.bind(net.decoder, {"weight": w})
    found = dg.Diagram("bound", {"whole": whole(x), "part": part(x)})
    assert list(found.parameters) == ["autoencoder/decoder/bias"]
    values = found.compile(target="reference").run(x=X, w=given)
    np.testing.assert_allclose(values["whole"], np.tanh(X @ given) @ given, rtol=1e-12)
    np.testing.assert_allclose(values["part"], X @ given, rtol=1e-12)
    with pytest.raises(dg.DiagramError, match="got 'decoder/weight': it has encoder/weight, dec"):
        dg.Diagram("bound", dg.bind(net, {"encoder/weight": w, "decoder/weight": w})(x))


FREE = """
a = dg.parameter('a', (2, 3))
b = dg.parameter('b', (2, 3))
c = dg.parameter('c', (3,))
"""


@pytest.mark.parametrize(
    ("line", "kind", "text"),
    [
        ("dg.tie(a, c)", dg.ShapeError,
         "tie (model.py:4) expects float32 (2, 3) like parameter 'a' (model.py:1), got float32 "
         "(3,) from parameter 'c' (model.py:3)"),
        ("dg.tie(a, dg.parameter('d', (2, 3), dtype='float64'))", dg.DtypeError,
         "tie (model.py:4) expects float32 (2, 3) like parameter 'a' (model.py:1), got float64 "
         "(2, 3) from parameter 'd' (model.py:4)"),
        ("dg.tie(a, dg.observed('x', (2, 3)))", dg.DiagramError,
         "tie (model.py:4) expects parameters after the first variable, got observed 'x' "
         "(model.py:4)"),
        ("dg.tie(a, b); dg.tie(c, b)", dg.DiagramError,
         "tie (model.py:4) expects parameters after the first variable, got variable 'b' "
         "(model.py:2), tied already (model.py:4)"),
        ("dg.tie(a, a)", dg.DiagramError,
         "tie (model.py:4) expects different parameters, got parameter 'a' (model.py:1) twice"),
        ("dg.tie(a, b, b)", dg.DiagramError,
         "tie (model.py:4) expects different parameters, got parameter 'b' (model.py:2) twice"),
        ("dg.tie(a, b); dg.tie(b, a)", dg.DiagramError,
         "tie (model.py:4) expects different parameters, got parameter 'a' (model.py:1) twice"),
        ("d = dg.Diagram('d', dg.sum(b)); dg.tie(a, b)", dg.DiagramError,
         "tie (model.py:4) expects parameters that no diagram has yet, got parameter 'b' "
         "(model.py:2) of diagram 'd' (model.py:4): tie them before the diagram is built"),
        ("dg.bind(dg.Linear(2, 3, weight=b, bias=False), {'b': a}); dg.tie(c, b)", dg.DiagramError,
         "tie (model.py:4) expects parameters that are free, got parameter 'b' (model.py:2), which "
         "is bound to parameter 'a' (model.py:1): tie them before dg.bind"),
        ("dg.tie(dg.exp(a), a); y = a", dg.CycleError,
         "variable 'a' (model.py:1) depends on itself without a delay, through exp (model.py:4): "
         "put a delay into the loop, or cut one of these arrows"),
        ("dg.tie(a)", TypeError,
         "tie (model.py:4) expects two or more variables, got parameter 'a' (model.py:1) alone"),
        ("dg.tie(a, 3)", TypeError, "tie (model.py:4) expects variables, got int"),
    ],
)  # fmt: skip
def test_what_cannot_be_tied(line: str, kind: type[Exception], text: str) -> None:
    assert str(mistake_in(f"{FREE.strip()}\n{line}", kind)) == text


def test_a_mistake_changes_nothing() -> None:
    names = draw(FREE)
    with pytest.raises(dg.ShapeError):
        dg.tie(names["a"], names["b"], names["c"])
    assert [names[name].kind for name in "abc"] == ["parameter"] * 3


def test_a_mistake_in_the_first_variable_is_reported_by_the_diagram() -> None:
    source = """
    a = dg.parameter('a', (2, 3))
    b = dg.parameter('b', (2, 3))
    dg.tie(a @ a, b)
    y = dg.relu(b)
    """
    assert str(mistake_in(source, dg.ShapeError)).startswith("matmul (model.py:3) expects ")


def test_the_first_one_may_be_in_a_diagram_already() -> None:
    a, b = dg.parameter("a", (2,)), dg.parameter("b", (2,))
    dg.Diagram("first", a)
    dg.tie(a, b)
    assert list(dg.Diagram("second", b).parameters) == ["a"]
