"""Counter-based random bits for all lanes: Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011).

The same bits as `runtime.philox` in NumPy.
"""

from __future__ import annotations

from ..philox import MULTIPLIERS, ROUNDS, WEYL
from .arithmetic import convert
from .values import Value, outlined, select

_LOW = 0xFFFFFFFF


def _philox(counter: Value, key: Value, stream: Value) -> Value:
    # Words are 64-bit lanes with a clear upper half: the product of two is then one instruction.
    block = counter >> 2
    x0, x1 = block & _LOW, (block >> 32) & _LOW
    x2, x3 = stream & _LOW, (stream >> 32) & _LOW
    k0, k1 = key & _LOW, (key >> 32) & _LOW
    for turn in range(ROUNDS):
        if turn:
            k0, k1 = (k0 + WEYL[0]) & _LOW, (k1 + WEYL[1]) & _LOW
        p0, p1 = x0 * MULTIPLIERS[0], x2 * MULTIPLIERS[1]
        x0, x1 = ((p1 >> 32) & _LOW) ^ x1 ^ k0, p1 & _LOW
        x2, x3 = ((p0 >> 32) & _LOW) ^ x3 ^ k1, p0 & _LOW
    even = (counter & 1).equals(0)
    word = select((counter & 2).equals(0), select(even, x0, x1), select(even, x2, x3))
    return convert(word, "u32")


def philox(counter: Value, key: Value, stream: Value) -> Value:
    """Word `counter % 4` of the block `counter // 4` of a stream under a key, as u32 lanes."""
    return outlined(_philox, counter, key, stream, result="u32")
