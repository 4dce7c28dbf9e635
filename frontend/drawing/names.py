"""Names: one for every block and every free variable of a diagram, and what is wrong with them.

A block's name is its path: `net/0`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import DiagramError, NameTakenError
from ..operations.random import KEY
from ..variables.block_base import BlockBase
from ..variables.variable import Application, Variable

REMEDY = "give one of them another name"
RESERVED = {
    "step": "the count of a program's steps",
    "random_key": "the key of a program's random draws",
    "optimizer": "a program's optimizer",
}
"""Names that a program's own arrays have beside the parameters."""


def name_blocks(
    applications: Sequence[Application],
    variables: Sequence[Variable],
    mistakes: list[DiagramError],
) -> tuple[dict[BlockBase, str], set[str]]:
    """A name for every outermost block, and the paths that two blocks have.

    A block without a name is called by its class, numbered where that is taken, in the order in
    which the blocks were applied.
    """
    blocks: dict[BlockBase, str] = {}
    for application in sorted(applications, key=lambda item: item.outputs[0].serial):
        if application.block is not None and application.block._has_place:
            _note(application.block, application.where, blocks)
    for item in variables:
        if item.owner is not None:
            _note(item.owner, item.where, blocks)
    outermost = [block for block in blocks if block._root is block]
    taken = {*RESERVED, *(block.name for block in outermost)}
    numbers: dict[str, int] = {}
    roots: dict[BlockBase, str] = {}
    for block in outermost:
        roots[block] = block.name or _free_name(block._default_name, taken, numbers)
        taken.add(roots[block])
    return roots, _shared_paths(blocks, roots, mistakes)


def _free_name(name: str, taken: set[str | None], numbers: dict[str, int]) -> str:
    """The name, or the first number of it that is not taken; `numbers` are the last ones given."""
    found = name
    while found in taken:
        numbers[name] = numbers.get(name, 1) + 1
        found = f"{name}_{numbers[name]}"
    return found


def _note(block: BlockBase, where: str, blocks: dict[BlockBase, str]) -> None:
    """Remember a block and those around it, outermost first, with the line that applied it."""
    around = [block]
    while (parent := around[-1]._parent) is not None:
        around.append(parent[0])
    for item in reversed(around):
        blocks.setdefault(item, where)


def _shared_paths(
    blocks: Mapping[BlockBase, str], roots: Mapping[BlockBase, str], mistakes: list[DiagramError]
) -> set[str]:
    shared: set[str] = set()
    taken: dict[str, BlockBase] = {}
    for block, where in blocks.items():
        path = block._path(roots)
        if path in RESERVED:
            mistakes.append(_reserved(f"{block._describe()} ({where})", path))
        other = taken.setdefault(path, block)
        if other is not block and not _below(path, shared):
            shared.add(path)
            mistakes.append(
                NameTakenError(
                    f"{block._describe()} ({where}) has the name of {other._describe()} "
                    f"({blocks[other]}): {REMEDY}"
                )
            )
    return shared


def name_variables(
    variables: Sequence[Variable],
    roots: Mapping[BlockBase, str],
    shared: set[str],
    mistakes: list[DiagramError],
) -> dict[Variable, str]:
    """A name for every free variable; below the paths in `shared` a mistake has been noted."""
    names: dict[Variable, str] = {}
    taken: dict[str, Variable] = {}
    for item in variables:
        if item.kind not in ("observed", "parameter", "state"):
            continue
        name = item.name or ""
        if item is KEY:
            names[item] = name
            continue
        if item.owner is not None:
            name = f"{item.owner._path(roots)}/{name}"
        subject = f"{item.kind} '{name}' ({item.where})"
        if item.kind in ("parameter", "state") and name in RESERVED:
            mistakes.append(_reserved(subject, name))
        other = taken.setdefault(name, item)
        if other is not item and not _below(name, shared):
            mistakes.append(
                NameTakenError(
                    f"{subject} has the name of {other.kind} '{name}' ({other.where}): {REMEDY}"
                )
            )
        names[item] = name
    return names


def _below(path: str, shared: set[str]) -> bool:
    return any(path == other or path.startswith(f"{other}/") for other in shared)


def _reserved(subject: str, name: str) -> NameTakenError:
    return NameTakenError(f"{subject} has the name of {RESERVED[name]}: give it another name")
