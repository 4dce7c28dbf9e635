"""Loops drawn at random: rolled, they and their derivatives are those of their unrolled copies."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import diagrad as dg

from ..looping import FEATURES, Inputs, check

BINARY = (
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a - 0.5 * b,
    lambda a, b: dg.where(a > b, a, 0.3 * b),
)
UNARY = (dg.tanh, dg.sin, dg.sigmoid, lambda a: 0.5 * a, lambda a: a[:, ::-1])


@dataclass(frozen=True)
class Plan:
    """What a loop is to look like; an operation is (kind, which, first operand, second)."""

    reverse: bool
    lengths: bool
    truncate: int | None
    checkpoint: int | None
    delays: tuple[int, ...]
    operations: tuple[tuple[int, int, int, int], ...]
    result: int


plans = st.builds(
    Plan,
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, 1, 2, 3]),
    st.lists(st.integers(1, 3), min_size=1, max_size=2).map(tuple),
    st.lists(st.tuples(*[st.integers(0, 20)] * 4), min_size=2, max_size=6).map(tuple),
    st.integers(0, 20),
)


def draw(plan: Plan, v: Inputs, name: str, x: Any, init: Any, lengths: Any, inner: bool) -> Any:
    """The stack, a sum and the final value of a loop over x."""
    loop = dg.loop(
        name,
        reverse=plan.reverse,
        lengths=lengths if plan.lengths else None,
        truncate=plan.truncate,
        checkpoint=plan.checkpoint,
    )
    x_t = loop.each(x)
    width = x_t.shape[1]
    known = [x_t @ v["u"] if width == FEATURES else x_t]
    delays = [loop.delay(f"z{i}", init, steps=k) for i, k in enumerate(plan.delays)]
    known += delays
    for kind, which, first, second in plan.operations:
        a, b = known[first % len(known)], known[-1 - second % len(known)]
        if kind % 5 == 0:
            known.append(dg.tanh(a @ v["w"]))
        elif kind % 5 == 1:
            known.append(UNARY[which % len(UNARY)](a))
        elif kind % 5 == 2 and inner:
            again = dg.stack([a, b])
            more = Plan(False, False, None, plan.checkpoint, (1,), plan.operations[:2], 0)
            known.append(draw(more, v, f"{name}_{len(known)}", again, b, None, False)["last"])
        else:
            known.append(BINARY[which % len(BINARY)](a, b))
    total = known[0]
    for item in known[1:]:
        total = total + 0.3 * item
    for place, delay in enumerate(delays):
        loop.close(delay, dg.tanh(total + known[(place + plan.result) % len(known)]))
    end = known[-1 - plan.result % len(known)]
    return {"stack": loop.stack(total), "sum": loop.sum(end * total), "last": loop.last(total)}


def lengths_of(steps: int, batch: int) -> dict[str, Any]:
    return {"lengths": np.arange(batch, dtype=np.int32) % (steps + 1)}


@settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(plans, min_size=1, max_size=2))
def test_random_loops(chain: list[Plan]) -> None:
    """One loop, or one that reads all that another gives and starts where that ends."""

    def net(v: Inputs) -> dict[str, Any]:
        lengths = dg.observed("lengths", ("B",), dg.int32)
        x, init = v["x"], v["h"]
        found: dict[str, Any] = {}
        for place, plan in enumerate(chain):
            made = draw(plan, v, f"t{place}", x, init, lengths, True)
            found |= {f"{name} {place}": y for name, y in made.items()}
            x, init = made["stack"], made["last"]
        if not any(plan.lengths for plan in chain):
            found["lengths"] = lengths.astype(dg.float64)
        return found

    sizes = [(0, 1), (5, 2)]
    check(net, targets=("reference",), sizes=sizes, differences=False, others=lengths_of)
