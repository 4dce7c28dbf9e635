"""Random bits: the published vectors, and the same bits from NumPy and from the engine."""

import numpy as np

from diagrad.runtime.philox import philox

from .engine import apply

# Random123's known answers for philox4x32-10: counter words, key words, result words.  Only the
# first and the second have a counter that our 64 bits can say.
ZEROS = (0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8")


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def test_known_answer() -> None:
    counter, key, wanted = ZEROS
    np.testing.assert_array_equal(philox(np.arange(4) + 4 * counter, key), words(wanted))


def test_block_function_on_full_counters() -> None:
    """All 128 bits of the counter, by a plain transcription of the paper."""
    ones = 0xFFFFFFFF
    assert reference([ones] * 4, [ones] * 2) == words("408f276d 41c83b0e a20bc7c6 6d5451fd")
    digits = words("243f6a88 85a308d3 13198a2e 03707344")
    assert reference(digits, words("a4093822 299f31d0")) == words(
        "d16cfe09 94fdcceb 5001e420 24126ea1"
    )


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
    keys = rng.integers(-(2**63), 2**63 - 1, counters.size)
    wanted = []
    for counter, key in zip(counters.tolist(), keys.tolist(), strict=True):
        block, key = counter // 4, key % 2**64
        words_ = reference([block % 2**32, block >> 32, 0, 0], [key % 2**32, key >> 32])
        wanted.append(words_[counter % 4])
    np.testing.assert_array_equal(philox(counters, keys), wanted)
    np.testing.assert_array_equal(apply("philox(a, b)", "u32", counters, keys), wanted)


def test_shapes_broadcast() -> None:
    assert philox(3, 5).shape == ()
    assert philox(np.arange(6).reshape(2, 3), 5).shape == (2, 3)
    assert philox(np.zeros((0, 2), np.int64), 5).shape == (0, 2)
