"""The numbers of windows: kernel, stride and dilation along each axis of space, and its padding.

    padding                 zeros before and behind an axis of space
    2                       2 and 2, for every axis
    (2, 1)                  2 and 2 for the first axis, 1 and 1 for the second one
    ((1, 0), (2, 3))        1 and 0 for the first axis, 2 and 3 for the second one
    "valid"                 none
    "full"                  r - 1 and r - 1: every window that has an element of x
    "same"                  r - 1 in all, the odd one behind: with stride 1, as many positions as
                            elements (PyTorch's; for other strides it is refused, as there)
    "same_strided"          ceil(n / stride) positions, so in all max(0, r - stride) zeros if the
                            stride divides n, else max(0, r - n % stride); the odd one behind
                            (TensorFlow's and JAX's "SAME")

r = dilation * (taps - 1) + 1 is the reach of a window.  For stride 1 the last two are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....compiler.errors import TypeRuleError
from ....compiler.primitives.windows import window_reach
from ....compiler.sizes import Dim
from ...arguments import integer, wrong

Numbers = int | Sequence[int]
Padding = str | int | Sequence[int] | Sequence[Sequence[int]]
WORDS = ("valid", "full", "same", "same_strided")


def for_axes(what: str, name: str, value: Any, least: int = 1) -> tuple[int, ...]:
    """One number, which serves all axes, or one for each of them."""
    several = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(integer(what, name, item, least=least) for item in several)


def spread(name: str, numbers: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """A number for each of so many axes; TypeRuleError if there are others."""
    if len(numbers) == 1:
        return numbers * count
    if len(numbers) != count:
        raise TypeRuleError(
            f"expects {name} of one number or of {count}, one for each axis of space, not of "
            f"{len(numbers)}"
        )
    return numbers


def padding_of(what: str, value: Any) -> str | tuple[tuple[int, int], ...]:
    """A padding as a word or as pairs: one for all axes, or one for each."""
    if isinstance(value, str):
        if value not in WORDS:
            raise wrong(what, f"padding to be {_WORDS_TEXT}", value, ValueError)
        return value
    several = value if isinstance(value, (list, tuple)) else (value,)
    found = []
    for item in several:
        pair = item if isinstance(item, (list, tuple)) else (item, item)
        if len(pair) != 2:
            expected = "padding to be a number, a pair (before, behind) for each axis, or a word"
            raise wrong(what, expected, value, ValueError)
        low, high = (integer(what, "padding", number, least=0) for number in pair)
        found.append((low, high))
    return tuple(found)


_WORDS_TEXT = f"{', '.join(map(repr, WORDS[:-1]))} or {WORDS[-1]!r}, a number or pairs of them"


def sides(
    padding: str | tuple[tuple[int, int], ...],
    space: Sequence[Dim],
    taps: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    turned: bool = False,
) -> tuple[tuple[int, int], ...]:
    """The zeros before and behind each axis of space.

    With `turned`, the odd one of a word is before: the mirror image, for a flipped kernel.
    """
    if not isinstance(padding, str):
        return spread("padding", padding, len(space))
    found = []
    for extent, size, apart, step in zip(space, taps, dilation, stride, strict=True):
        total = _total(padding, extent, window_reach(size, apart), step)
        less, more = total // 2, total - total // 2
        found.append((more, less) if turned else (less, more))
    return tuple(found)


def _total(word: str, extent: Dim, reach: int, stride: int) -> int:
    if word == "valid":
        return 0
    if word == "full":
        return 2 * (reach - 1)
    if stride == 1:
        return reach - 1
    if word == "same":
        raise TypeRuleError(
            f'expects a stride of 1 with padding="same", not {stride}: "same_strided" gives '
            "ceil(n / stride) positions"
        )
    if not isinstance(extent, int):
        raise TypeRuleError(
            f'expects a known size of axes with padding="same_strided" and a stride of {stride}, '
            f"not {extent}: give the padding in numbers"
        )
    return max(0, reach - (extent % stride or stride))
