"""emit: every group becomes kernel text and rows; equal texts are one kernel.

loop [B,10*] %7 %8 %9      ->      def kernel(args, lo, hi): ...     + a row of words
"""

from __future__ import annotations

from dataclasses import replace

from ...runtime.program import Kernel
from ..emission.loops import Emitted, emit_loop
from ..emission.moves import (
    emit_concatenate,
    emit_copy,
    emit_cumsum,
    emit_first_outside,
    emit_pad,
    emit_scatter_add,
)
from ..emission.nest import Memory
from ..emission.products import emit_gemm
from ..fusion import Group
from ..graph import Node
from ..primitives.contraction import contraction_flops
from ..primitives.registry import lookup
from ..sizes import Dim, floor_divide, product
from ..template import Row, Template, Tiled
from ..views import contiguous, squeeze
from .schedule import Schedule


def emit(schedule: Schedule) -> Template:
    """Kernels and rows: Schedule -> Template."""
    kernels: dict[str, Kernel] = {}
    numbers: dict[str, int] = {}
    rows: list[Row] = []

    def add(
        emitted: Emitted,
        name: str,
        origins: tuple[str, ...],
        work: Dim,
        check: int | None = None,
    ) -> None:
        source, words, extent, reads, writes = emitted
        if source not in kernels:
            numbers[source] = len(kernels)
            kernels[source] = Kernel(f"k{len(kernels)}_{name}", source)
        space = replace(extent, which="space", count=1) if isinstance(extent, Tiled) else 0
        number = numbers[source]
        rows.append(Row(number, words, extent, reads, writes, origins, check, work, space))

    for group in schedule.groups:
        for emitted in _emit_group(group, schedule.buffer_of):
            check = emitted[4][0] if group.kind == "first_outside" else None
            add(emitted, _name(group), _origins(group), _work(group), check)
    inputs = {schedule.buffer_of[node]: node for node in schedule.buffer_of}
    for source, target in schedule.copies:
        node = inputs[source]
        place = Memory(target, 0, contiguous(squeeze(node.shape)), node.dtype)
        add(
            emit_copy(node, schedule.buffer_of, place), "copy", (node.origin.path,), node.type.count
        )
    return Template(
        schedule.graph.name,
        schedule.graph,
        tuple(kernels.values()),
        tuple(rows),
        schedule.storages,
    )


def _emit_group(group: Group, buffers: dict[Node, int]) -> list[Emitted]:
    if group.kind == "gemm":
        return [emit_gemm(group, buffers)]
    if group.kind == "concatenate":
        return emit_concatenate(group, buffers)
    if group.kind == "pad":
        return emit_pad(group, buffers)
    if group.kind == "scatter_add":
        return emit_scatter_add(group, buffers)
    if group.kind == "cumsum":
        return [emit_cumsum(group, buffers)]
    if group.kind == "first_outside":
        return [emit_first_outside(group, buffers)]
    return [emit_loop(group, buffers)]


def _work(group: Group) -> Dim:
    """An estimate, in operations on one element: a matrix product does 32 in the time of one."""
    each = sum(max(1, lookup(node.op).flops) for node in group.members if node.op != "contract")
    total = product(group.domain) * each
    for node in group.members:
        if node.op == "contract":
            total = total + floor_divide(contraction_flops(node), 32)
    return total


def _name(group: Group) -> str:
    """A short name that says what the kernel computes."""
    words = [node.op.removeprefix("reduce_") for node in group.members]
    most = 4
    tail = [f"and_{len(words) - most}_more"] if len(words) > most + 1 else words[most:]
    return "_".join([*words[:most], *tail])


def _origins(group: Group) -> tuple[str, ...]:
    """The blocks, with the direction, that a group computes for."""
    found: dict[str, None] = {}
    for node in group.members:
        direction = "" if node.origin.direction == "forward" else f" {node.origin.direction}"
        found[(node.origin.path or "diagram") + direction] = None
    return tuple(found)
