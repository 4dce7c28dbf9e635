"""Groups of parameters: who changes what at which rate, what is kept, and errors word for word."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.training.optimizers import RATE

from ...evaluating import TARGETS, Array, Target

NAMES = ["net/0/weight", "net/0/bias", "net/2/weight", "net/2/bias"]


class Drawn:
    """A diagram, and what a group can be given of it."""

    def __init__(self) -> None:
        self.x = dg.observed("x", ("B", 4), "float64")
        first, last = dg.Linear(4, 5, dtype="float64"), dg.Linear(5, 3, dtype="float64")
        self.net = dg.Chain(first, dg.tanh, last, name="net")
        self.diagram = dg.Diagram("test", cost=dg.mean((self.net(self.x) - 1.0) ** 2))


def value() -> Array:
    return np.random.default_rng(0).normal(size=(7, 4))


@pytest.mark.parametrize("target", TARGETS)
def test_pytorchs_groups_and_one_clip_for_all(target: Target) -> None:
    torch = pytest.importorskip("torch")
    drawn = Drawn()
    program = drawn.diagram.compile(
        dg.ParameterGroups(
            dg.AdamW(0.02, weight_decay=0.0, parameters="*/bias"),
            dg.SGD(dg.schedules.exponential(0.5, 0.5), momentum=0.9, parameters="net/2/weight"),
            dg.AdamW(0.05, weight_decay=0.3),
            clip=dg.clip_norm(0.1),
        ),
        target=target,
    )
    w = {name: torch.tensor(program.parameters[name].copy(), requires_grad=True) for name in NAMES}
    adam = torch.optim.AdamW(
        [
            {"params": [w["net/0/bias"], w["net/2/bias"]], "lr": 0.02, "weight_decay": 0.0},
            {"params": [w["net/0/weight"]], "lr": 0.05, "weight_decay": 0.3},
        ]
    )
    descent = torch.optim.SGD([w["net/2/weight"]], lr=0.5, momentum=0.9)
    x = torch.tensor(value())
    for step in range(10):
        hidden = torch.tanh(x @ w["net/0/weight"] + w["net/0/bias"])
        cost = ((hidden @ w["net/2/weight"] + w["net/2/bias"] - 1) ** 2).mean()
        adam.zero_grad()
        descent.zero_grad()
        cost.backward()
        torch.nn.utils.clip_grad_norm_(w.values(), 0.1)
        adam.step()
        descent.param_groups[0]["lr"] = 0.5 * 0.5**step
        descent.step()
        assert program.step(x=value()) == pytest.approx(cost.item(), rel=1e-9)
        for name in NAMES:
            np.testing.assert_allclose(program.parameters[name], w[name].detach(), rtol=1e-8)


def test_rates_are_read_set_and_kept(tmp_path: Path) -> None:
    x, a, b = dg.observed("x", ()), *(dg.parameter(name, (), init=0.0) for name in "ab")

    def compiled() -> Any:
        groups = dg.ParameterGroups(
            dg.SGD(1.0, parameters="a"), dg.SGD(dg.schedules.exponential(0.5, 0.5), maximize=True)
        )
        return dg.Diagram("two", cost=a * x + b * x).compile(groups, target="reference")

    program = compiled()
    found = []
    for rate in ("as it is", 0.25, [None, 0.125], np.array([0.5, 0.0]), None):
        if not isinstance(rate, str):
            program.learning_rate = rate
        before = [float(program.parameters[name]) for name in "ab"]
        rates = program.learning_rate
        program.step(x=1.0)
        moved = [
            float(program.parameters[name]) - was for name, was in zip("ab", before, strict=True)
        ]
        assert moved == [-rates[0], rates[1]]
        found.append([*rates])
    assert found == [[1.0, 0.5], [0.25, 0.25], [1.0, 0.125], [0.5, 0.0], [1.0, 0.5**5]]
    program.learning_rate = program.learning_rate * 0.5
    assert [*program.learning_rate] == [0.5, 0.5**7]
    with pytest.raises(ValueError, match="read-only"):
        program.learning_rate[0] = 1.0
    program.save(tmp_path / "two.safetensors")
    other = compiled()
    other.load(tmp_path / "two.safetensors")
    assert [*other.learning_rate] == [0.5, 0.5**7]
    assert [*copy.deepcopy(program).learning_rate] == [0.5, 0.5**7]
    for wrong in ([0.1], [0.1, 0.2, 0.3]):
        with pytest.raises(ValueError, match=r"to be one number or 2, one for each group, got"):
            program.learning_rate = wrong
    with pytest.raises(ValueError, match=r"expects learning_rate to be a number of 0 or more, got"):
        program.learning_rate = [0.1, -0.1]


def test_what_is_kept_is_by_the_parameters_names() -> None:
    groups = dg.ParameterGroups(dg.SGD(0.1, momentum=0.5, parameters="net/0"), dg.Adam())
    program = Drawn().diagram.compile(groups, target="reference")
    kept = {f"optimizer/{name}/momentum" for name in NAMES[:2]}
    kept |= {f"optimizer/{name}/{slot}" for name in NAMES[2:] for slot in ("mean", "square")}
    assert set(program.states) == {*NAMES, "step", RATE, *kept}


def test_one_parameter_that_several_blocks_share_moves_once() -> None:
    first, second = dg.Linear(3, 3, bias=False), dg.Linear(3, 3, bias=False)
    dg.tie(first.weight, second.weight)
    x = dg.observed("x", (1, 3))
    diagram = dg.Diagram("tied", cost=dg.sum(second(first(x))))
    assert len(diagram.parameters) == 1
    both = diagram.compile(dg.ParameterGroups(dg.SGD(0.1)), target="reference")
    alone = diagram.compile(dg.SGD(0.1), target="reference")
    for program in (both, alone):
        program.step(x=np.ones((1, 3), np.float32))
    name = next(iter(diagram.parameters))
    np.testing.assert_array_equal(both.parameters[name], alone.parameters[name])


def test_each_shape_of_a_pattern() -> None:
    cases: dict[str, list[str]] = {
        "net": NAMES, "net/0": NAMES[:2], "net/2/bias": NAMES[3:], "*/bias": NAMES[1::2],
        "net/[01]/*": NAMES[:2], "net/?/weight": NAMES[::2],
    }  # fmt: skip
    diagram = Drawn().diagram
    for pattern, names in cases.items():
        assert [*dg.SGD(0.1, parameters=pattern).trained.of(diagram, "")] == names


HERE = "(test_groups.py:{})"


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (
            lambda d: dg.ParameterGroups(), ValueError,
            f"ParameterGroups {HERE} expects one or more optimizers, got none",
        ),
        (
            lambda d: dg.ParameterGroups(cast(Any, "net")), TypeError,
            f"ParameterGroups {HERE} expects optimizers such as dg.Adam(1e-3), got 'net'",
        ),
        (
            lambda d: dg.ParameterGroups(d.group(None), d.group(None)), ValueError,
            f"ParameterGroups {HERE} expects parameters= for all of its groups but one, which "
            "takes the rest, got 2 without: SGD(0.1), SGD(0.1)",
        ),
        (
            lambda d: dg.ParameterGroups(d.group("net"), clip=cast(Any, 1)), TypeError,
            f"ParameterGroups {HERE} expects clip to be a function, dg.clip_norm(...) or "
            "dg.clip_value(...), got 1",
        ),
        (
            lambda d: d.compile(d.group("net/0"), d.group(["*/bias", "net/2/weight"])),
            dg.DiagramError,
            f"compile of 'test' {HERE} expects every parameter in one group, got 'net/0/bias' in "
            "the groups 0 and 1: a group without parameters= takes the rest, and dg.freeze "
            "leaves some as they are",
        ),
        (
            lambda d: d.compile(d.group("net/0"), d.group("net/2/bias")), dg.DiagramError,
            f"compile of 'test' {HERE} expects every parameter in one group, got 'net/2/weight' in "
            "none: a group without parameters= takes the rest, and dg.freeze leaves some as "
            "they are",
        ),
        (
            lambda d: d.compile(d.group("net"), d.group(None)), dg.DiagramError,
            f"compile of 'test' {HERE} expects parameters in every group, got none left for group "
            "1, SGD(0.1): leave it out",
        ),
        (
            lambda d: d.compile(d.group("no/*"), d.group(None)), dg.DiagramError,
            f"compile of 'test' {HERE} expects SGD to change parameters of the diagram, got "
            f"'no/*': it has {', '.join(NAMES)}",
        ),
    ],
)  # fmt: skip
def test_errors(make: Callable[[Any], Any], kind: type[Exception], message: str) -> None:
    class Making:
        """What the cases make groups with."""

        drawn = Drawn()

        def group(self, parameters: Any) -> Any:
            return dg.SGD(0.1, parameters=parameters)

        def compile(self, *groups: Any) -> Any:
            return self.drawn.diagram.compile(dg.ParameterGroups(*groups), target="reference")

    with pytest.raises(kind) as error:
        make(Making())
    found = re.sub(r"py:\d+", "py:{}", str(error.value))
    assert re.sub(r"SGD\(learning_rate=0.1, [^)]*\)", "SGD(0.1)", found) == message


def test_repr_and_that_it_is_not_changed() -> None:
    groups: Any = dg.ParameterGroups(dg.Lion(), clip=dg.clip_value(1.0))
    assert repr(groups) == f"ParameterGroups({dg.Lion()!r}, clip=clip_value(1.0))"
    with pytest.raises(AttributeError, match=r"the rate of a program can be set"):
        groups.clip = None
