"""The values of a group inside its loops: loads, expressions and stores, each where it varies.

A nest has axes, each with the name of its index; the last may be the vector axis, 16 lanes at a
time.  Three scopes: "start" (before all loops), "row" (for each index of the outer axes), "lane"
(inside the innermost loop).  A value is computed in the outermost scope in which it varies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..graph import Node
from ..graphs.views import base_of, contiguous, resolve
from ..primitives.elementwise import MEMORY_TYPES
from ..primitives.known import is_known
from ..primitives.record import Builder, lookup
from ..primitives.source import RANDOM_BITS
from ..scheduling.fusion import NEEDS_MEMORY, Group, Level
from ..scheduling.template import Place
from ..sizes import Dim
from .writer import Writer

SCOPES = ("start", "row", "lane")
Strides = tuple[Dim, ...]


@dataclass(frozen=True)
class Memory:
    """An operand in memory: a stride along every axis of the domain."""

    buffer: int
    offset: Dim
    strides: Strides
    dtype: str


Places = Mapping[Node, Place]
"""Where each base of a view that is no member of the group begins, row-major and contiguous."""


def memory_at(place: Place, offset: Dim, strides: Strides, dtype: str) -> Memory:
    """An operand at an offset from a place, in elements."""
    return Memory(place.buffer, place.offset + offset, strides, dtype)


@dataclass(frozen=True)
class Index:
    """An operand that is an index itself: offset + the sum of index times stride."""

    offset: Dim
    strides: Strides
    dtype: str


@dataclass(frozen=True)
class Known:
    """An operand that sizes and constants determine."""

    node: Node


Operand = Memory | Index | Known | Node


def operand_of(item: Node, group: Group, level: Level, buffers: Places) -> Operand:
    """What an input of a member is: another member, or something with strides over the domain."""
    base = base_of(item)
    if base in group.members:
        return base
    if is_known(base):
        return Known(base)
    return memory_operand(item, group.axes(level), len(group.domain), buffers)


def memory_operand(item: Node, axes: Sequence[int], rank: int, buffers: Places) -> Memory | Index:
    """An input that is read with strides; its axes of more than one element are `axes`."""
    view = resolve(item).squeezed()
    strides: list[Dim] = [0] * rank
    if view.shape:
        for axis, stride in zip(axes, view.strides, strict=True):
            strides[axis] = stride
    if view.base.op == "iota":
        return Index(view.offset, tuple(strides), view.base.dtype)
    return memory_at(buffers[view.base], view.offset, tuple(strides), view.base.dtype)


def inputs_of(node: Node, group: Group, buffers: Places) -> list[Operand]:
    """The operands of a member."""
    rank = len(group.domain)
    if node.op == "gather":
        return list(gather_operands(node, rank, buffers))
    reduction = lookup(node.op).kind == "reduction"
    level: Level = "full" if reduction else group.members[node]
    return [
        memory_operand(item, (), rank, buffers)
        if index in NEEDS_MEMORY.get(node.op, ())
        else operand_of(item, group, level, buffers)
        for index, item in enumerate(node.inputs)
    ]


def gather_operands(node: Node, rank: int, buffers: Places) -> tuple[Memory, Memory]:
    """The table and the indices of a gather, with strides over the axes of its result."""
    table, index = (resolve(item) for item in node.inputs)
    first, count = node.attrs["axis"], node.inputs[1].type.rank
    real = [axis for axis, extent in enumerate(node.shape) if extent != 1]
    over_table: list[Dim] = [0] * rank
    over_index: list[Dim] = [0] * rank
    for place, axis in enumerate(real):
        if first <= axis < first + count:
            over_index[place] = index.strides[axis - first]
        else:
            over_table[place] = table.strides[axis if axis < first else axis - count + 1]
    return (
        memory_at(buffers[table.base], table.offset, tuple(over_table), table.base.dtype),
        memory_at(buffers[index.base], index.offset, tuple(over_index), index.base.dtype),
    )


def chooses_inside(node: Node) -> bool:
    """Whether the indices of a gather are known now, and lie in its table."""
    chosen, extent = base_of(node.inputs[1]), node.inputs[0].shape[node.attrs["axis"]]
    if chosen.op != "constant" or not isinstance(extent, int):
        return False
    values = chosen.attrs["value"]
    return bool(((values >= 0) & (values < extent)).all())


def stored_at(node: Node, group: Group, buffers: Places) -> Memory:
    """Where a member is stored, over the axes of its level."""
    if group.members[node] == "column":
        return memory_at(buffers[node], 0, (*[0] * (len(group.domain) - 1), 1), node.dtype)
    axes = group.axes(group.members[node])
    strides: list[Dim] = [0] * len(group.domain)
    place = buffers[node]
    inner = place.strides or contiguous([group.domain[axis] for axis in axes])
    for axis, stride in zip(axes, inner, strict=True):
        strides[axis] = stride
    return memory_at(place, 0, tuple(strides), node.dtype)


class Nest:
    """Writes values of members into a kernel whose axes have been laid out.

    `indices` are the names of the axes' indices (of the vector axis, the first lane's); `scopes`
    the scope in which each varies. Operands have strides over these axes.

    Lanes outside of the `mask` that it begins with lie beyond the end of a row: nobody looks at
    their values. `choose` sets another mask, outside of which all that is read is 0.
    """

    def __init__(
        self,
        writer: Writer,
        indices: Sequence[str],
        scopes: Sequence[str],
        vector: int | None,
        mask: str,
    ) -> None:
        self.writer = writer
        self.indices = list(indices)
        self.scopes = list(scopes)
        self.vector = vector
        self.mask = self.bounds = mask
        self.values: dict[object, tuple[str, str]] = {}
        self.saved: dict[Node, str] = {}  # how to load a value that an earlier phase has saved
        self._strides: dict[tuple[object, int], str] = {}

    def choose(self, mask: str) -> None:
        """Read and write under another mask from now on; what was read before is read again."""
        self.mask = mask
        self.values = {key: value for key, value in self.values.items() if isinstance(key, Node)}

    def forget(self, scope: str) -> None:
        """Drop the values of a scope that has ended."""
        self.values = {key: value for key, value in self.values.items() if value[1] != scope}

    def scope_of(self, strides: Strides) -> str:
        """The outermost scope in which something with these strides does not vary."""
        found = [0] + [
            SCOPES.index(scope)
            for scope, stride in zip(self.scopes, strides, strict=True)
            if stride != 0
        ]
        return SCOPES[max(found)]

    def offset(self, key: object, strides: Strides, lanes: bool = True) -> str:
        """The element offset of the operand `key` at the present indices."""
        terms = []
        for axis, (name, stride) in enumerate(zip(self.indices, strides, strict=True)):
            if stride == 0 or (axis == self.vector and not lanes):
                continue
            terms.append(name if stride == 1 else f"{name} * {self.stride(key, axis, stride)}")
        return " + ".join(terms) or "0"

    def stride(self, key: object, axis: int, stride: Dim) -> str:
        """The name of a stride that the row holds."""
        if (key, axis) not in self._strides:
            self._strides[key, axis] = self.writer.integer(stride, "s")
        return self._strides[key, axis]

    def vector_stride(self, strides: Strides) -> Dim:
        """The stride along the vector axis; 0 without one."""
        return 0 if self.vector is None else strides[self.vector]

    def define(self, key: object, scope: str, text: str) -> str:
        """Name a value, in the prologue if it varies nowhere."""
        name = self.writer.fresh("v")
        if scope == "start":
            self.writer.prologue.append(f"    {name} = {text}")
        elif scope == "row":
            self.writer.hoist(f"{name} = {text}")
        else:
            self.writer.line(f"{name} = {text}")
        self.values[key] = (name, scope)
        return name

    def load(self, operand: Memory | Index | Known) -> tuple[str, str]:
        """The value of an operand that is no member, and the scope in which it varies."""
        if operand in self.values:
            return self.values[operand]
        if isinstance(operand, Memory):
            pointer = self.writer.pointer(operand.buffer, operand.offset, operand.dtype)
            text = self.read(pointer, operand)
        else:
            assert self.mask == self.bounds, "only what lies in memory is read under another mask"
            if isinstance(operand, Known):
                return self.writer.scalar(operand.node), "start"
            text = self.index_text(operand)
        scope = self.scope_of(operand.strides) if self.mask == self.bounds else "lane"
        return self.define(operand, scope, text), scope

    def read(self, pointer: str, operand: Memory) -> str:
        """How to read from memory; what lies outside of a chosen mask is not read and is 0."""
        place, step = self.offset(operand, operand.strides), self.vector_stride(operand.strides)
        if step == 0 and self.mask == self.bounds:
            return f"load_splat({pointer}, {place})"
        if step == 0:
            return f"load_splat({pointer}, {place}, {self.mask})"
        if step == 1:
            return f"load({pointer}, {place}, {self.mask})"
        assert self.vector is not None
        apart = self.stride(operand, self.vector, step)
        return f"load_strided({pointer}, {place}, {apart}, {self.mask})"

    def index_text(self, operand: Index) -> str:
        """An index as a value: the first lane's, and the lanes' own steps."""
        step = self.vector_stride(operand.strides)
        start = self.offset(operand, operand.strides)
        if operand.offset != 0:
            start = f"{start} + {self.writer.integer(operand.offset, 's')}"
        text = f"i64({start})"
        if step == 1:
            text = f"{text} + lane()"
        elif step != 0:
            assert self.vector is not None
            text = f"{text} + lane() * i64({self.stride(operand, self.vector, step)})"
        return text if operand.dtype == "int64" else f"to_{MEMORY_TYPES[operand.dtype]}({text})"

    def expression(self, node: Node, operands: Sequence[Operand]) -> tuple[str, str]:
        """The value of an elementwise member whose operands have values, and its scope."""
        if node.op == "gather":
            return self.gather(node, operands)
        if node.op == "random_bits":
            return self.random_bits(node, operands)
        pairs = [self.value(item) for item in operands]
        scope = SCOPES[max([0, *(SCOPES.index(where) for _, where in pairs)])]
        template = lookup(node.op).emit
        assert template is not None, f"{node.op} has no emission rule"
        text = template if isinstance(template, str) else template(node)
        return self.define(node, scope, text.format(*(name for name, _ in pairs))), scope

    def value(self, operand: Operand) -> tuple[str, str]:
        """The name and scope of an operand's value."""
        if not isinstance(operand, Node):
            return self.load(operand)
        if operand not in self.values:
            self.define(operand, "lane", self.saved[operand])
        return self.values[operand]

    def gather(self, node: Node, operands: Sequence[Operand]) -> tuple[str, str]:
        """Elements at loaded indices; NaN (0 for integers) where an index is outside."""
        table, index = operands
        assert isinstance(table, Memory) and isinstance(index, Memory)
        view, axis = resolve(node.inputs[0]), node.attrs["axis"]
        chosen, _ = self.load(index)
        writer, scope = self.writer, "lane"
        place, mask, extent = writer.fresh("g"), self.mask, view.shape[axis]
        checked = not chooses_inside(node)
        if checked:
            inside, end = writer.fresh("g"), writer.integer(extent, "n")
            mask = f"{inside} & {mask}"
        apart = writer.integer(view.strides[axis], "s")
        step = self.vector_stride(table.strides)
        start = self.offset(table, table.strides)
        writer.line(f"{place} = to_i64({chosen})")
        if checked:
            writer.line(f"{inside} = ({place} >= i64(0)) & ({place} < i64({end}))")
        pointer = writer.pointer(table.buffer, table.offset, table.dtype)
        if step == 1 and self.vector_stride(index.strides) == 0:
            # The lanes are neighbours in one row of the table.
            text = f"load({pointer}, {start} + first({place}) * {apart}, {mask})"
        else:
            steps = ""
            if step != 0:
                assert self.vector is not None
                steps = f" + lane() * i64({self.stride(table, self.vector, step)})"
            text = f"gather({pointer}, i64({start}){steps} + {place} * i64({apart}), {mask})"
        if checked and node.type.is_float:
            missing = writer.scalar(Builder().constant(np.nan, node.dtype))
            text = f"select({inside}, {text}, {missing})"
        return self.define(node, scope, text), scope

    def random_bits(self, node: Node, operands: Sequence[Operand]) -> tuple[str, str]:
        """Philox of each element's flat index."""
        (key, _), (stream, _) = self.value(operands[0]), self.value(operands[1])
        counter = Index(0, self.flat_strides, "int64")
        number, scope = self.load(counter)
        text = f"philox({number}, {key}, {stream}) & u32({2**RANDOM_BITS - 1})"
        return self.define(node, scope, text), scope

    flat_strides: Strides = ()

    def store(self, value: str, target: Memory) -> None:
        """Store a value where it stands."""
        pointer = self.writer.pointer(target.buffer, target.offset, target.dtype, writes=True)
        place = self.offset(target, target.strides)
        step = self.vector_stride(target.strides)
        if step == 0:
            assert self.mask == self.bounds, "one element is stored whatever the mask"
            self.writer.line(f"store_first({pointer}, {place}, {value})")
        elif step == 1:
            self.writer.line(f"store({pointer}, {place}, {value}, {self.mask})")
        else:
            assert self.vector is not None
            apart = self.stride(target, self.vector, step)
            self.writer.line(f"store_strided({pointer}, {place}, {apart}, {value}, {self.mask})")
