"""Copies of blocks and variables, by `copy.deepcopy`: what was tied stays tied.

    a parameter or state                          a new one
    what is tied to it                            the new one too, wherever a copied block holds it
    what is computed from it by operations        computed from the new one
    observed variables, constants, all else       itself

So a copy of an autoencoder with one weight has one weight, and a layer whose weight a network
outside computes has that same weight.  `copy.copy` of a block is one more block of the same
parameters.
"""

from __future__ import annotations

import copy
from typing import Any

from ..errors import DiagramError
from ..operations.random import KEY
from ..variables.dependencies import resolve_ties
from ..variables.substitution import bound, current
from ..variables.variable import Variable, source_text
from .blocks import Block, FunctionBlock, members

COPIED = "variables"
"""The key under which a memo has the new variable for each one that was copied."""


def copy_block(block: Block, memo: dict[Any, Any]) -> Block:
    """A block with new parameters and inner blocks; DiagramError if one cannot be copied.

    A parameter whose own block is not among the copied ones belongs to the block that holds it.
    """
    copied = [item for item in _blocks_in(block) if id(item) not in memo]
    memo.update({id(item): object.__new__(type(item)) for item in copied})
    for item in copied:
        for _, held in members(item):
            free = resolve_ties(held) if isinstance(held, Variable) else held
            if isinstance(free, Variable) and free.kind in ("parameter", "state"):
                twin = copy.deepcopy(free, memo)
                if free.owner is not None and twin.owner is None:
                    twin.owner = memo[id(item)]
    with bound(memo.get(COPIED, {})):
        for item in copied:
            _fill(item, memo)
    result: Block = memo[id(block)]
    return result


def _blocks_in(block: Block) -> dict[Block, None]:
    """A block and those in it, each once, without mere functions."""
    found: dict[Block, None] = {}
    waiting = [block]
    while waiting:
        item = waiting.pop()
        if item not in found and not isinstance(item, FunctionBlock):
            found[item] = None
            waiting += [inner for _, inner in members(item) if isinstance(inner, Block)]
    return found


def _fill(block: Block, memo: dict[Any, Any]) -> None:
    """Give the copy of a block copies of all attributes, and its place in the copied blocks."""
    twin = memo[id(block)]
    for attribute, value in vars(block).items():
        if attribute != "_parent":
            twin.__dict__[attribute] = copy.deepcopy(value, memo)
    if block._parent is not None and id(block._parent[0]) in memo:
        twin.__dict__["_parent"] = memo[id(block._parent[0])], block._parent[1]


def copy_variable(variable: Variable, memo: dict[Any, Any]) -> Variable:
    """A new variable for a parameter or state, and for what is computed from a copied one."""
    free = resolve_ties(variable)
    if free is not variable:
        result: Variable = copy.deepcopy(free, memo)
        return result
    if variable.kind not in ("parameter", "state") or variable is KEY:
        (twin,) = current([variable])
        if twin.mistakes and not variable.mistakes:
            raise DiagramError(
                f"cannot copy what {source_text(variable)} computes from a parameter that is "
                "copied too: compute it in the forward of the block that uses it"
            )
        return twin
    init = variable.init
    if isinstance(init, Variable) and id(init.owner) in memo:
        init = copy.deepcopy(init, memo)
    twin = Variable(variable.kind, variable.type, variable.name, init=init)
    twin.where, twin.owner = variable.where, memo.get(id(variable.owner))
    twin.stays, twin.frozen = variable.stays, variable.frozen
    memo.setdefault(COPIED, {})[variable] = twin
    return twin


Block.__deepcopy__ = copy_block  # type: ignore[attr-defined]
Variable.__deepcopy__ = copy_variable  # type: ignore[attr-defined]
