"""Philox4x32-10 in NumPy: the definition of the project's random bits, the same on every target.

Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).  A function of
counter, key and stream: there is no state, and nothing here depends on the order of calls.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
"""What the two key words grow by from round to round."""

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox(
    counter: npt.ArrayLike, key: npt.ArrayLike, stream: npt.ArrayLike = 0
) -> npt.NDArray[np.uint32]:
    """Random 32-bit words, one for each counter.

    Counter i takes word i % 4 of the block whose 128-bit counter has i // 4 as its lower half and
    the stream as its upper one, so that two streams never meet under one key.  The arguments are
    64-bit integers (negative ones wrap) and broadcast against each other.
    """
    shape = np.broadcast_shapes(np.shape(counter), np.shape(key), np.shape(stream))
    counters, keys, streams = np.broadcast_arrays(_words(counter), _words(key), _words(stream))
    # An arithmetic shift, as the CPU engine does it: counters are signed there.
    block = (counters.view(np.int64) >> np.int64(2)).view(np.uint64)
    x = [block & _LOW, block >> _HALF, streams & _LOW, streams >> _HALF]
    k = [keys & _LOW, keys >> _HALF]
    first, second = (np.uint64(m) for m in MULTIPLIERS)
    for turn in range(ROUNDS):
        if turn:
            k = [(word + np.uint64(step)) & _LOW for word, step in zip(k, WEYL, strict=True)]
        left, right = x[0] * first, x[2] * second
        high = (right >> _HALF) ^ x[1] ^ k[0], (left >> _HALF) ^ x[3] ^ k[1]
        x = [high[0], right & _LOW, high[1], left & _LOW]
    word = (counters & np.uint64(3)).astype(np.int64)
    return np.choose(word, x).astype(np.uint32).reshape(shape)


def _words(values: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    array = np.atleast_1d(np.asarray(values))
    if array.dtype.kind not in "iu":
        raise TypeError(f"philox takes integers, got {array.dtype}")
    return np.ascontiguousarray(array.astype(np.uint64, copy=False))
