"""What a random diagram is made from: a few numbers, of which any make a diagram.

A plan says which operations are tried in which order, each with numbers that choose its operands
and options among those that fit.  So a plan with an operation less, or with other numbers, is a
plan too, and shrinking is a matter of hand-written steps on plain data.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

SIZES = (1, 2, 3, 5, 7, 16, 17, 33, 65)
BATCHES = (0, 1, 2, 3, 8, 17, 20, 150)
STEPS = (0, 1, 2, 3, 7)
NUMBERS = 12
"""Numbers that an operation may use; one that needs more reads zeros."""

Operation = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Plan:
    """One random diagram.

    Attributes:
        dtype: of every float in it.
        extents: the two known sizes, n and m.
        batches: values of the named size B at which it is run.
        steps: the value of the named size T.
        inputs: which inputs it has, numbers into the table of shapes.
        operations: a name of the table of operations, and its numbers.
        second: whether second derivatives are outputs too.
        seed: of the values.
    """

    dtype: str
    extents: tuple[int, int]
    batches: tuple[int, ...]
    steps: int
    inputs: tuple[int, ...]
    operations: tuple[Operation, ...]
    second: bool
    seed: int


def random_plan(seed: int, names: tuple[str, ...]) -> Plan:
    """The plan of a seed: the same on every machine."""
    rng = random.Random(seed)

    def number() -> int:
        # Small numbers choose what came last, so that operations stand on each other.
        return int(rng.random() ** 2 * 64)

    operations = tuple(
        (rng.choice(names), tuple(number() for _ in range(NUMBERS)))
        for _ in range(rng.randint(2, 8))
    )
    return Plan(
        dtype=rng.choice(("float64", "float64", "float32")),
        extents=(rng.choice(SIZES), rng.choice(SIZES)),
        batches=(3, rng.choice(BATCHES)),
        steps=rng.choice(STEPS),
        inputs=tuple(rng.randrange(64) for _ in range(rng.randint(1, 3))),
        operations=operations,
        second=rng.random() < 0.4,
        seed=seed,
    )


def smaller(plan: Plan) -> Iterator[Plan]:
    """Plans that are simpler than this one in one way, the greatest simplifications first."""
    count = len(plan.operations)
    for length in (count // 2, count // 4, 1):
        for start in range(count - length, -1, -length) if length else ():
            kept = plan.operations[:start] + plan.operations[start + length :]
            yield replace(plan, operations=kept)
    if plan.second:
        yield replace(plan, second=False)
    if plan.dtype != "float64":
        yield replace(plan, dtype="float64")
    if len(plan.inputs) > 1:
        for place in range(len(plan.inputs)):
            yield replace(plan, inputs=plan.inputs[:place] + plan.inputs[place + 1 :])
    if len(plan.batches) > 1:
        for batch in plan.batches:
            yield replace(plan, batches=(batch,))
    for fewer in (value for value in (0, 1, 2) if value < plan.steps):
        yield replace(plan, steps=fewer)
    for fewer in (value for value in (0, 1, 2) if value < max(plan.batches)):
        yield replace(plan, batches=tuple(min(batch, fewer) for batch in plan.batches))
    for place in range(2):
        for extent in (value for value in (1, 2, 3) if value < plan.extents[place]):
            extents = list(plan.extents)
            extents[place] = extent
            yield replace(plan, extents=(extents[0], extents[1]))
    for place, (name, numbers) in enumerate(plan.operations):
        for which, number in enumerate(numbers):
            for lower in {0, number // 2} - {number}:
                changed = (name, (*numbers[:which], lower, *numbers[which + 1 :]))
                before, after = plan.operations[:place], plan.operations[place + 1 :]
                yield replace(plan, operations=(*before, changed, *after))
