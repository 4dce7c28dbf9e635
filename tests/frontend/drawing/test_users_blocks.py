"""Blocks as users write them: any attribute, also of a name that blocks have; data classes."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg

X = np.ones((2, 3), np.float32)
PUBLIC = sorted(
    name for name in dir(dg.Block) if not name.startswith("_") and name not in ("forward", "name")
)


def trained(make: Callable[[], dg.Block]) -> list[str]:
    """The parameters of a program with two such blocks, which is drawn, trained and queried."""
    x = dg.observed("x", ("B", 3))
    first, second = make(), make()
    net = dg.Chain(first, second, name="net")
    assert repr(first) and first != second and len({first, second}) == 2
    scores = net(x)
    diagram = dg.Diagram("own", {"scores": scores}, cost=dg.mean(scores**2))
    program = diagram.compile(optimizer=dg.SGD(0.1, parameters=[first]))
    before = {name: array.copy() for name, array in program.parameters.items()}
    program.step(x=X)
    moved = [name for name, array in program.parameters.items() if (array != before[name]).any()]
    assert moved and all(name.startswith("net/0/") for name in moved)
    return list(program.parameters)


NAMES = [f"net/{index}/inner/{name}" for index in (0, 1) for name in ("weight", "bias")]


@pytest.mark.parametrize("name", [*PUBLIC, "root", "has_place", "owner", "connect", "state", "sum"])
@pytest.mark.parametrize("value", [3, "text", None])
def test_a_users_block_has_any_attribute(name: str, value: Any) -> None:
    class Own(dg.Block):
        def __init__(self) -> None:
            setattr(self, name, value)
            self.inner = dg.Linear(3, 3)

        def forward(self, x: dg.Variable) -> dg.Variable:
            assert getattr(self, name) is value
            return self.inner(x)

    assert trained(Own) == NAMES


@dataclasses.dataclass
class Plain(dg.Block):
    size: int = 3

    def __post_init__(self) -> None:
        self.inner = dg.Linear(3, self.size)

    def forward(self, x: dg.Variable) -> dg.Variable:
        return self.inner(x)


@dataclasses.dataclass
class Fields(dg.Block):
    inner: dg.Linear = dataclasses.field(default_factory=lambda: dg.Linear(3, 3))
    name: str | None = None

    def forward(self, x: dg.Variable) -> dg.Variable:
        return self.inner(x)


@dataclasses.dataclass(kw_only=True)
class Below(Plain):
    path: str = "its own"  # type: ignore[assignment]


@dataclasses.dataclass(eq=False)
class Without(Plain):
    pass


class Abstract(Plain, abc.ABC):
    pass


class Compared(Plain):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Compared) and other is self


@pytest.mark.parametrize("kind", [Plain, Fields, Below, Without, Abstract, Compared])
def test_data_classes_and_classes_that_compare_are_blocks(kind: type[dg.Block]) -> None:
    assert trained(kind) == NAMES


def test_a_data_class_has_the_name_that_its_field_says() -> None:
    x = dg.observed("x", ("B", 3))
    program = dg.Diagram("named", Fields(name="mine")(x)).compile()
    assert list(program.parameters) == ["mine/inner/weight", "mine/inner/bias"]
