"""A template and its interface as bytes, and back: JSON for all but the elements of constants.

    8 bytes          the length of the JSON text, little-endian
    JSON             tables of sizes, scalar expressions and words; rows name words by their number
    the rest         the elements of constants, one after another

A size without names is written as an integer, another one as [its number in the table].  A constant
that stands in the graph as it was lowered is written as its number there, for who reads the
template has that graph.  Whoever keeps the bytes sees to it that they come back as they were.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...runtime.program import Kernel, Routine, Target
from ..graph import Node, Type, topological
from ..graphs.interface import InputRange, Interface, SizeRule
from ..scheduling.template import Bits, Offsets, Place, Row, Storage, Template, Tiled, Turns, Word
from ..sizes import Atom, Dim, FloorDivision, Minimum, Size

Array = npt.NDArray[Any]
_LENGTH = struct.Struct("<Q")


def to_bytes(interface: Interface, template: Template, known: Sequence[Array] = ()) -> bytes:
    """What `from_bytes` makes the same of; `known` are the arrays of the graph as lowered."""
    work = _Writing(known)
    dims = work.dims
    rows = [
        [
            row.kernel,
            [work.word(word) for word in row.words],
            work.word(row.extent),
            row.reads,
            row.writes,
            row.origins,
            row.check,
            work.dim(row.work),
            work.word(row.space),
            row.skips,
        ]
        for row in template.rows
    ]
    text = {
        "name": template.name,
        "target": [template.target.name, template.target.lanes],
        "kernels": [[kernel.name, kernel.source, kernel.lanes] for kernel in template.kernels],
        "rows": rows,
        "storages": [
            [s.name, s.role, work.type(s.type), work.array(s.data), s.over]
            for s in template.storages
        ],
        "turns": [[t.first, t.last, t.step, work.dim(t.count)] for t in template.turns],
        "names": interface.sizes,
        "rules": [[r.kind, r.op, r.where, dims(r.sizes), r.axis] for r in interface.rules],
        "ranges": [[r.name, work.dim(r.low), work.dim(r.high)] for r in interface.ranges],
        "words": work.words,
        "nodes": work.nodes,
        "sizes": work.sizes,
    }
    head = json.dumps(text, separators=(",", ":")).encode()
    return b"".join([_LENGTH.pack(len(head)), head, *work.data])


def from_bytes(held: bytes, known: Sequence[Array] = ()) -> tuple[Interface, Template]:
    """The interface and the template of what `to_bytes` wrote, with the same `known` arrays.

    Raises:
        ValueError, KeyError, IndexError, TypeError: the bytes are none that it wrote.
    """
    if len(held) < _LENGTH.size:
        raise ValueError(f"a template has {_LENGTH.size} bytes or more, got {len(held)}")
    (length,) = _LENGTH.unpack_from(held)
    begin = _LENGTH.size + length
    text = json.loads(held[_LENGTH.size : begin])
    work = _Reading(text, memoryview(held)[begin:], known)
    words, dim = work.words, work.dim
    rows = tuple(
        Row(
            kernel, tuple([words[n] for n in row]), words[extent], tuple(reads), tuple(writes),
            tuple(origins), check, dim(amount), words[space], skips,
        )
        for kernel, row, extent, reads, writes, origins, check, amount, space, skips in text["rows"]
    )  # fmt: skip
    template = Template(
        text["name"],
        tuple(Kernel(*kernel) for kernel in text["kernels"]),
        rows,
        tuple(
            Storage(name, role, work.type(type), work.array(data), over)
            for name, role, type, data, over in text["storages"]
        ),
        tuple(Turns(first, last, step, dim(n)) for first, last, step, n in text["turns"]),
        Target(*text["target"]),
    )
    interface = Interface(
        tuple(text["names"]),
        tuple(
            SizeRule(k, op, w, work.dims(sizes), axis) for k, op, w, sizes, axis in text["rules"]
        ),
        tuple(InputRange(name, dim(low), dim(high)) for name, low, high in text["ranges"]),
    )
    return interface, template


class _Writing:
    """The tables; each size, expression and word is in them once, after what it is made of."""

    def __init__(self, known: Sequence[Array]) -> None:
        self.sizes: list[Any] = []
        self.nodes: list[Any] = []
        self.words: list[Any] = []
        self.data: list[bytes] = []
        self._known = {_content(array): number for number, array in enumerate(known)}
        self._size: dict[Size, int] = {}
        self._node: dict[Node, int] = {}
        self._word: dict[Word, int] = {}
        self._end = 0

    def dim(self, size: Dim) -> Any:
        if isinstance(size, int):
            return size
        if size not in self._size:
            terms = [[[self.atom(a) for a in atoms], factor] for atoms, factor in size.terms]
            self._size[size] = len(self.sizes)
            self.sizes.append(terms)
        return [self._size[size]]

    def atom(self, atom: Atom) -> Any:
        if isinstance(atom, str):
            return atom
        if isinstance(atom, Minimum):
            return ["min", self.dim(atom.inner), atom.bound]
        return ["//", self.dim(atom.inner), atom.denominator]

    def dims(self, sizes: Sequence[Dim]) -> list[Any]:
        return [self.dim(size) for size in sizes]

    def type(self, type: Type) -> Any:
        return [type.dtype, self.dims(type.shape)]

    def word(self, word: Word) -> int:
        if word not in self._word:
            encoded = self.encoded(word)
            self._word[word] = len(self.words)
            self.words.append(encoded)
        return self._word[word]

    def encoded(self, word: Word) -> Any:
        if isinstance(word, Place):
            strides = None if word.strides is None else self.dims(word.strides)
            return ["place", word.buffer, self.dim(word.offset), strides]
        if isinstance(word, Bits):
            return ["bits", self.node(word.node)]
        if isinstance(word, Routine):
            return ["routine", word.name]
        if isinstance(word, Tiled):
            extents = self.dims((word.rows, word.columns, word.depth, word.count))
            return ["tiled", word.which, word.dtype, word.epilogue, word.segmented, extents]
        if isinstance(word, Offsets):
            return ["offsets", [self.dims(axis) for axis in word.axes]]
        return ["size", self.dim(word)]

    def node(self, node: Node) -> int:
        for item in () if node in self._node else topological([node]):
            if item not in self._node:
                inputs = [self._node[part] for part in item.inputs]
                attrs = {key: self.attr(value) for key, value in item.attrs.items()}
                self._node[item] = len(self.nodes)
                self.nodes.append([item.op, inputs, attrs, self.type(item.type)])
        return self._node[node]

    def attr(self, value: Any) -> Any:
        """An attribute of a scalar expression: a size, a name, or the value of a constant."""
        if isinstance(value, str):
            return value
        if isinstance(value, (int, Size)):
            return {"size": self.dim(value)}
        assert isinstance(value, np.ndarray) and value.shape == (), f"{value!r} is no scalar"
        return {"dtype": value.dtype.name, "value": value.tobytes().hex()}

    def array(self, array: Array | None) -> Any:
        """The number of a known array, or where in the rest the elements are."""
        if array is None:
            return None
        content = _content(array)
        if content in self._known:
            return self._known[content]
        self.data.append(content[2])
        begin, self._end = self._end, self._end + len(content[2])
        return [content[0], content[1], begin, self._end]


class _Reading:
    def __init__(self, text: Mapping[str, Any], data: memoryview, known: Sequence[Array]) -> None:
        self._data = data
        self._known = known
        self.sizes: list[Size] = []
        for terms in text["sizes"]:
            found = [(tuple(map(self.atom, atoms)), factor) for atoms, factor in terms]
            self.sizes.append(Size(tuple(found)))
        self.nodes: list[Node] = []
        for op, inputs, attrs, type in text["nodes"]:
            read = {key: self.attr(value) for key, value in attrs.items()}
            before = tuple(self.nodes[number] for number in inputs)
            self.nodes.append(Node(op, before, read, self.type(type)))
        # Any, for of the words only sizes and tilings are extents, and the bytes know which.
        self.words: list[Any] = [self.word(*encoded) for encoded in text["words"]]

    def dim(self, encoded: Any) -> Dim:
        return encoded if type(encoded) is int else self.sizes[encoded[0]]

    def atom(self, encoded: Any) -> Atom:
        if isinstance(encoded, str):
            return encoded
        kind, inner, number = encoded
        size = self.dim(inner)
        assert isinstance(size, Size)
        return Minimum(size, number) if kind == "min" else FloorDivision(size, number)

    def dims(self, encoded: Sequence[Any]) -> tuple[Dim, ...]:
        return tuple([n if type(n) is int else self.sizes[n[0]] for n in encoded])

    def type(self, encoded: Any) -> Type:
        return Type(encoded[0], self.dims(encoded[1]))

    def word(self, kind: str, *encoded: Any) -> Word:
        if kind == "place":
            buffer, offset, strides = encoded
            return Place(buffer, self.dim(offset), None if strides is None else self.dims(strides))
        if kind == "bits":
            return Bits(self.nodes[encoded[0]])
        if kind == "routine":
            return Routine(encoded[0])
        if kind == "tiled":
            which, dtype, epilogue, segmented, extents = encoded
            rows, columns, depth, count = self.dims(extents)
            return Tiled(which, dtype, rows, columns, depth, epilogue, segmented, count)
        if kind == "offsets":
            axes = [self.dims(axis) for axis in encoded[0]]
            return Offsets(tuple((extent, stride) for extent, stride in axes))
        return self.dim(encoded[0])

    def attr(self, encoded: Any) -> Any:
        if isinstance(encoded, str):
            return encoded
        if "size" in encoded:
            return self.dim(encoded["size"])
        value = np.frombuffer(bytes.fromhex(encoded["value"]), encoded["dtype"])
        return value.reshape(())

    def array(self, encoded: Any) -> Array | None:
        if encoded is None or type(encoded) is int:
            return None if encoded is None else self._known[encoded]
        dtype, shape, begin, end = encoded
        array = np.frombuffer(self._data[begin:end], dtype).reshape(shape).copy()
        array.flags.writeable = False
        return array


def _content(array: Array) -> tuple[str, tuple[int, ...], bytes]:
    return array.dtype.name, array.shape, array.tobytes()
