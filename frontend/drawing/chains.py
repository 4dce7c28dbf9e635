"""Chains: blocks and functions applied one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast, overload

from ..arguments import wrong
from ..location import user_location
from ..variables.variable import Variable, source_text
from .blocks import Block

Step = Callable[..., Any]
"""A block, or a function of one variable."""


class Chain(Block):
    """Blocks and functions applied one after another; each is called by its index, or by a name.

        net = dg.Chain(dg.Linear(4, 8), dg.relu, dg.Linear(8, 2))
        net = dg.Chain(fc1=dg.Linear(4, 8), relu1=dg.relu, fc2=dg.Linear(8, 2))

    The parameters are net/0/weight, or net/fc1/weight.  `net[0]`, `net[-1]` and `net["fc1"]` are
    one of them, `net[:2]` is a chain of the same blocks, which shares their parameters and keeps
    their names; `len(net)` and `for block in net` are as of a list.  What a chain does, calls do as
    well: `fc2(dg.relu(fc1(x)))`; a chain in a chain is one block of it.

    Args:
        *blocks: blocks, or functions of one variable such as `dg.relu`; or one list of them, or one
            dict of them by name.
        name: as for every block.
        **named: blocks by name, behind the others.

    Raises:
        TypeError: something else among them: a class, or what a function has given.
        ValueError: a name that is empty, has a "/", or is there twice.
    """

    def __init__(
        self,
        *blocks: Step | Sequence[Step] | Mapping[str, Step],
        name: str | None = None,
        **named: Step,
    ) -> None:
        self.name = name
        first = blocks[0] if len(blocks) == 1 else None
        if isinstance(first, Mapping):
            found = dict(first)
        else:
            given = first if isinstance(first, (list, tuple)) else blocks
            found = {str(index): item for index, item in enumerate(given)}
        for key, item in (*found.items(), *named.items()):
            self._check(key, item, key in found and key in named)
        self._blocks: dict[str, Step] = {**found, **named}

    def _check(self, key: Any, item: Any, twice: bool) -> None:
        subject = f"{self._describe()} ({user_location()})"
        if not isinstance(key, str):
            raise wrong(subject, "names of blocks that are texts", key)
        if not key or "/" in key or twice:
            raise wrong(subject, 'different names of blocks, without a "/"', key, ValueError)
        if not callable(item) or isinstance(item, type):
            raise self._no_block(key, item)

    def _no_block(self, key: str, item: Any) -> TypeError:
        got, remedy = type(item).__name__, ""
        if isinstance(item, Variable):
            got = source_text(item)
            remedy = ": give the function itself, or lambda x: f(x, ...) with options"
        elif isinstance(item, type):
            got, remedy = (
                f"the class {item.__name__}",
                f": make a block of it, {item.__name__}(...)",
            )
        elif isinstance(item, (list, tuple)):
            remedy = ": give one list, or the blocks themselves"
        place = key if key.isdecimal() else repr(key)
        return TypeError(
            f"{self._describe()} ({user_location()}) expects blocks and functions of one variable, "
            f"got {got} as block {place}{remedy}"
        )

    def _adopt(self, attribute: str, value: Any) -> None:
        super()._adopt(attribute.removeprefix("_blocks/"), value)

    def parameters(self) -> dict[str, Variable]:
        """As for every block, with indices and names: `0/weight`, `fc1/weight`."""
        return {k.removeprefix("_blocks/"): v for k, v in super().parameters().items()}

    @property
    def blocks(self) -> tuple[Step, ...]:
        """The blocks and functions, in their order."""
        return tuple(self._blocks.values())

    @property
    def names(self) -> tuple[str, ...]:
        """What each is called: its index, where it has no name."""
        return tuple(self._blocks)

    @overload
    def __getitem__(self, index: slice) -> Chain: ...
    @overload
    def __getitem__(self, index: int | str) -> Any: ...
    def __getitem__(self, index: int | str | slice) -> Any:
        if isinstance(index, slice):
            return Chain({name: self._blocks[name] for name in self.names[index]})
        place = self._place(index)
        if not -len(self) <= place < len(self):
            raise IndexError(
                f"{self._describe()} ({user_location()}) has {len(self)} blocks, got index {index}"
            )
        return self.blocks[place]

    def _place(self, index: Any) -> int:
        """The index of a block, or of its name."""
        if isinstance(index, str):
            if index not in self._blocks:
                have = ", ".join(self.names) or "none"
                raise KeyError(
                    f"{self._describe()} ({user_location()}) has no block {index!r}: it has {have}"
                )
            return self.names.index(index)
        if isinstance(index, bool) or not hasattr(index, "__index__"):
            subject = f"{self._describe()} ({user_location()})"
            raise wrong(subject, "the index or the name of a block", index)
        return int(index.__index__())

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.blocks)

    def forward(self, x: Any) -> Variable:
        """Each block of the one before."""
        for item in self.blocks:
            x = item(x)
        return cast("Variable", x)
