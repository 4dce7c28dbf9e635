"""Random bits: the published vectors, and the same bits from NumPy and from the engine."""

import numpy as np

from diagrad.runtime.philox import philox

from ..engine import apply

# Random123's known answers for philox4x32-10 (kat_vectors): counter, key and result words.
# Elements are counted in 64 bits, four to a block, so only the first has a counter of a program's.
ZEROS = ("0 0 0 0", "0 0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8")
ONES = ("ffffffff " * 4, "ffffffff " * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd")
DIGITS = (
    "243f6a88 85a308d3 13198a2e 03707344",
    "a4093822 299f31d0",
    "d16cfe09 94fdcceb 5001e420 24126ea1",
)


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def test_known_answers() -> None:
    """The published vectors, by a plain transcription of the paper."""
    for counter, key, wanted in (ZEROS, ONES, DIGITS):
        assert reference(words(counter), words(key)) == words(wanted)


def test_known_answer_of_what_a_program_draws() -> None:
    """The vector whose counter a program has; the upper half of any is a stream."""
    zero = np.zeros(4, np.int64)
    wanted = words(ZEROS[2])
    np.testing.assert_array_equal(philox(np.arange(4), 0), wanted)
    np.testing.assert_array_equal(apply("philox(a, b, c)", "u32", np.arange(4), zero, zero), wanted)


def reference(counter: list[int], key: list[int]) -> list[int]:
    c, k = list(counter), list(key)
    for _ in range(10):
        left, right = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(right >> 32) ^ c[1] ^ k[0], right & 0xFFFFFFFF, (left >> 32) ^ c[3] ^ k[1],
             left & 0xFFFFFFFF]  # fmt: skip
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def test_numpy_and_engine_agree_with_the_reference() -> None:
    rng = np.random.default_rng(0)
    counters = np.concatenate([np.arange(40), rng.integers(0, 2**62, 57)])
    keys, streams = rng.integers(-(2**63), 2**63 - 1, (2, counters.size))
    wanted = []
    for counter, *pair in zip(counters.tolist(), keys.tolist(), streams.tolist(), strict=True):
        halves = [[n % 2**32, n % 2**64 >> 32] for n in (counter // 4, *pair)]
        wanted.append(reference(halves[0] + halves[2], halves[1])[counter % 4])
    np.testing.assert_array_equal(philox(counters, keys, streams), wanted)
    np.testing.assert_array_equal(apply("philox(a, b, c)", "u32", counters, keys, streams), wanted)


def test_shapes_broadcast() -> None:
    assert philox(3, 5).shape == ()
    assert philox(np.arange(6).reshape(2, 3), 5).shape == (2, 3)
    assert philox(np.zeros((0, 2), np.int64), 5).shape == (0, 2)
