"""emit: every group becomes kernel text and rows; equal texts are one kernel.

loop [B,10*] %7 %8 %9      ->      def kernel(args, lo, hi): ...     + a row of words
"""

from __future__ import annotations

from collections.abc import Iterable

from ...runtime.program import CPU, Kernel, Skips, Target
from ..graph import Node
from ..graphs.views import contiguous, squeeze
from ..primitives.attention import attention_work
from ..primitives.contraction import contraction_flops
from ..primitives.linear.counts import LINEAR, linear_work
from ..primitives.log_product import log_product_work
from ..primitives.record import lookup
from ..primitives.sorting import sort_work
from ..scheduling.fusion import Group
from ..scheduling.schedule import Computed, Copied, Part, Schedule
from ..scheduling.template import Place, Row, Template, Turns
from ..sizes import Dim, floor_divide, product
from .attention.kernels import emit_attention, emit_attention_back
from .attention.query import emit_one_query, is_one_query
from .linear.kernels import emit_linear
from .log_products import emit_log_product
from .loop_kernels import emit_loop
from .moves import (
    emit_copy,
    emit_cumsum,
    emit_first_outside,
    emit_overlap_add,
    emit_pad,
    emit_parts,
    emit_put,
    emit_scatter,
)
from .nest import Places, memory_at, stored_at
from .products import emit_gemm
from .sorting import emit_argsort
from .writer import Emitted


def emit(schedule: Schedule, target: Target = CPU) -> Template:
    """Kernels and rows for a target: Schedule -> Template."""
    kernels: list[Kernel] = []
    numbers: dict[tuple[str, int], int] = {}
    rows: list[Row] = []

    def add(
        emitted: Emitted,
        name: str,
        origins: tuple[str, ...],
        work: Dim,
        check: int | None = None,
        skips: Skips = "",
    ) -> None:
        source, words, extent, reads, writes, each, space = emitted
        # What is in a loop with a gate waits for what the gate says.
        reads = (*reads, *(flag for flag in gates if flag not in (*reads, *writes)))
        number = numbers.setdefault((source, each), len(kernels))
        if number == len(kernels):
            kernels.append(Kernel(f"k{number}_{name}", source, each))
        rows.append(Row(number, words, extent, reads, writes, origins, check, work, space, skips))

    gates: list[int] = []  # the flags of the loops around
    turns: list[Turns] = []

    def copy(node: Node, places: Places, place: Place) -> None:
        memory = memory_at(place, 0, contiguous(squeeze(node.shape)), node.dtype)
        add(emit_copy(node, places, target, memory), "copy", (origin_text(node),), node.type.count)

    def compute(group: Group, places: Places, skips: Skips = "") -> None:
        for emitted in _emit_group(group, places, target):
            check = emitted.writes[0] if skips or group.kind == "first_outside" else None
            name = "gate" if skips else _name(group)
            add(emitted, name, _origins(group), _work(group), check, skips)

    def run(parts: Iterable[Part]) -> None:
        for part in parts:
            if isinstance(part, Copied):
                copy(part.node, part.places, part.target)
            elif isinstance(part, Computed):
                gate = part.gate
                compute(part.group, part.places, "" if gate is None else gate.skips)
            else:
                first, place = len(rows), len(turns)
                around, gate = len(gates), part.loop.gate
                gates.extend([] if gate is None else [gate.flag])
                run(part.parts)
                del gates[around:]
                turns.insert(place, Turns(first, len(rows), part.loop.step, part.loop.steps))

    run(schedule.parts())
    return Template(
        schedule.graph.name,
        tuple(kernels),
        tuple(rows),
        schedule.storages,
        tuple(turns),
        target,
    )


def _emit_group(group: Group, buffers: Places, target: Target) -> list[Emitted]:
    if group.kind == "attention" and is_one_query(group):
        return [emit_one_query(group, buffers, target)]
    if group.kind == "attention":
        return [emit_attention(group, buffers, target)]
    if group.kind == "attention_back":
        return [emit_attention_back(group, buffers, target)]
    if group.kind == "gemm":
        return [emit_gemm(group, buffers, target)]
    if group.kind == "concatenate":
        return emit_parts(group, buffers, target)
    if group.kind == "pad":
        return emit_pad(group, buffers, target)
    if group.kind == "scatter":
        return emit_scatter(group, buffers, target)
    if group.kind == "put":
        return emit_put(group, buffers, target)
    if group.kind == "overlap_add":
        return [emit_overlap_add(group, buffers, target)]
    if group.kind == "cumsum":
        return [emit_cumsum(group, buffers, target)]
    if group.kind == "linear":
        return [emit_linear(group, buffers, target)]
    if group.kind == "log_product":
        return [emit_log_product(group, buffers, target)]
    if group.kind == "argsort":
        return [emit_argsort(group, buffers, target)]
    if group.kind == "first_outside":
        return [emit_first_outside(group, buffers, target)]
    if group.kind == "loop" and [node.op for node in group.members] == ["copy"]:
        (node,) = group.members
        return [emit_copy(node.inputs[0], buffers, target, stored_at(node, group, buffers))]
    return [emit_loop(group, buffers, target)]


def _work(group: Group) -> Dim:
    """An estimate, in operations on one element.

    A matrix product does 32 in the time of one, but must read its operands.
    """
    if group.kind in ("attention", "attention_back"):
        return attention_work(list(group.members))
    if group.kind == "log_product":
        return log_product_work(next(iter(group.members)))
    each = sum(max(1, lookup(node.op).flops) for node in group.members if node.op != "contract")
    total = product(group.domain) * each
    for node in group.members:
        if node.op == "overlap_add":
            total = total + node.inputs[0].type.count
        if node.op == "contract":
            total = total + floor_divide(contraction_flops(node), 32)
            total = total + sum(item.type.count for item in node.inputs)
        if node.op in LINEAR:
            total = total + linear_work(node)
        if node.op == "argsort":
            total = total + sort_work(node)
    return total


def _name(group: Group) -> str:
    """A short name that says what the kernel computes."""
    words = [node.op.removeprefix("reduce_") for node in group.members]
    most = 4
    tail = [f"and_{len(words) - most}_more"] if len(words) > most + 1 else words[most:]
    return "_".join([*words[:most], *tail])


def _origins(group: Group) -> tuple[str, ...]:
    """The blocks, with the direction, that a group computes for."""
    return tuple(dict.fromkeys(map(origin_text, group.members)))


def origin_text(node: Node) -> str:
    """The block that a node computes for, with the direction unless that is forward."""
    direction = "" if node.origin.direction == "forward" else f" {node.origin.direction}"
    return (node.origin.path or "diagram") + direction
