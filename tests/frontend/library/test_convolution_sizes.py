"""Padding in words and numbers, `conv_shape`, named sizes, and errors word for word."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target, apply, run, text


def test_conv_shape() -> None:
    assert dg.conv_shape(28, 5, padding=2) == (28,)
    assert dg.conv_shape((32, 32), 3, stride=2) == (15, 15)
    assert dg.conv_shape((7, 9), (3, 5), stride=2, padding=((0, 1), (2, 2))) == (3, 5)
    assert dg.conv_shape((16, 5), 3, dilation=(4, 1), padding=(0, 1)) == (8, 5)
    assert dg.conv_shape((5, 3), (5, 1)) == (1, 3)
    assert dg.conv_shape(0, 2, padding=1) == (1,)
    assert list(map(str, dg.conv_shape(("T", 4), 3, padding="same"))) == ["T", "4"]
    assert list(map(str, dg.conv_shape("T", 3))) == ["T-2"]
    assert dg.conv_shape(14, 2, stride=2, transposed=True) == (28,)
    assert dg.conv_shape((4, 5), 3, 2, 1, output_padding=(1, 0), transposed=True) == (8, 9)
    assert dg.conv_shape(5, 2, 4, "same_strided", transposed=True) == (20,)


@pytest.mark.parametrize("n", range(1, 12))
@pytest.mark.parametrize("taps", range(1, 6))
def test_words(n: int, taps: int) -> None:
    """The sizes that PyTorch, TensorFlow and NumPy state for theirs."""
    for dilation in (1, 2):
        reach = dilation * (taps - 1) + 1
        assert dg.conv_shape(n, taps, 1, "same", dilation) == (n,)
        assert dg.conv_shape(n, taps, 1, "full", dilation) == (n + reach - 1,)
        for stride in (1, 2, 3, 4):
            positions = -(-n // stride)
            assert dg.conv_shape(n, taps, stride, "same_strided", dilation) == (positions,)
            # TensorFlow's formula, and where its first window begins.
            total = max((positions - 1) * stride + reach - n, 0)
            x, w = np.arange(1.0, n + 1).reshape(1, 1, n), np.ones((1, 1, taps))
            sides = ((total // 2, total - total // 2),)
            found = [
                apply(
                    lambda x, w, s=stride, p=padding, d=dilation: dg.correlate(x, w, s, p, d), x, w
                )
                for padding in ("same_strided", sides)
            ]
            np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("taps", [1, 2, 3, 4, 5])
def test_convolve_is_numpys(taps: int, target: Target) -> None:
    rng = np.random.default_rng(taps)
    x, w = rng.normal(size=9), rng.normal(size=taps)
    variables = dg.observed("x", (1, 9), "float64"), dg.observed("w", (1, 1, taps), "float64")
    outputs = {word: dg.convolve(*variables, padding=word) for word in ("full", "same", "valid")}
    found = run(outputs, target, x=x[None], w=w[None, None])
    for word in ("full", "same", "valid"):
        np.testing.assert_allclose(found[word][0], np.convolve(x, w, word), rtol=1e-12)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("target", TARGETS)
def test_same_is_pytorchs(target: Target) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for taps, dilation in [((2, 3), 1), ((4, 1), 2), ((3, 2), (1, 3)), ((6, 5), 1)]:
        x, w = rng.normal(size=(2, 3, 7, 6)), rng.normal(size=(4, 3, *taps))
        theirs = torch.nn.functional.conv2d(
            torch.tensor(x), torch.tensor(w), padding="same", dilation=dilation
        )

        def ours(x: Any, w: Any, dilation: Any = dilation) -> Any:
            return dg.correlate(x, w, padding="same", dilation=dilation)

        np.testing.assert_allclose(apply(ours, x, w, target=target), theirs.numpy(), atol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_named_sizes(stride: int, target: Target) -> None:
    torch = pytest.importorskip("torch")
    x, w = (
        dg.observed("x", ("B", 2, "T", "N"), "float64"),
        dg.observed("w", (3, 2, 3, 2), "float64"),
    )
    y = dg.correlate(x, w, stride, padding=((1, 0), (0, 2)))
    z = dg.conv_transpose(x, w[:2], stride)
    outputs = {"y": y, "z": z, "g": dg.gradient(dg.sum(y * y) + dg.sum(z * z), x)}
    program = dg.Diagram("test", outputs).compile(target=target)
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(3, 2, 3, 2))
    for shape in [(1, 2, 2, 1), (2, 2, 7, 8), (0, 2, 3, 3)]:
        value = rng.normal(size=shape)
        found = program.run(x=value, w=weight)
        tx, tw = torch.tensor(value, requires_grad=True), torch.tensor(weight)
        wide = torch.nn.functional.pad(tx, (0, 2, 1, 0))
        wanted = torch.nn.functional.conv2d(wide, tw, stride=stride)
        back = torch.nn.functional.conv_transpose2d(tx, tw[:2], stride=stride)
        ((wanted * wanted).sum() + (back * back).sum()).backward()
        np.testing.assert_allclose(found["y"], wanted.detach().numpy(), atol=1e-12)
        np.testing.assert_allclose(found["z"], back.detach().numpy(), atol=1e-12)
        np.testing.assert_allclose(found["g"], tx.grad.numpy(), rtol=1e-10, atol=1e-10)
    with pytest.raises(dg.InputError) as error:
        program.run(x=np.zeros((2, 2, 1, 5)), w=weight)
    assert text(error.value) == (
        "run of 'test': a window (m.py:1) reaches over 3 elements of axis -2, which has 2 for "
        "B = 2, T = 1, N = 5"
    )


GIVEN = "; given (B, 3, 4, 6) float32 from observed 'x' (m.py:1) and "


def test_mistakes() -> None:
    x, line = dg.observed("x", ("B", 3, 4, 6)), dg.observed("line", ("B", 2, "T"))

    def weight(*shape: int) -> Any:
        return dg.observed("w", shape)

    def of(*shape: int) -> str:
        return f"{shape} float32 from observed 'w' (m.py:1)"

    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: dg.correlate(x, weight(2, 3, 5, 5)),
         "correlate (m.py:1) expects 5 or more elements for a window of 5 taps, got 4"
         + GIVEN + of(2, 3, 5, 5)),
        (lambda: dg.correlate(x, weight(2, 3, 4, 3), dilation=2, padding=1),
         "correlate (m.py:1) expects 7 or more elements for a window of 4 taps 2 apart, got 4 with "
         "1 before them and 1 behind them" + GIVEN + of(2, 3, 4, 3)),
        (lambda: dg.convolve(x, weight(2, 4, 3, 3)),
         "convolve (m.py:1) expects 4 channels like the weights, not 3" + GIVEN + of(2, 4, 3, 3)),
        (lambda: dg.correlate(x, weight(2, 3, 3, 3), groups=2),
         "correlate (m.py:1) expects channels in 2 equal groups, not 3" + GIVEN + of(2, 3, 3, 3)),
        (lambda: dg.correlate(x, weight(4, 1, 3, 3), groups=3),
         "correlate (m.py:1) expects results in 3 equal groups, not 4" + GIVEN + of(4, 1, 3, 3)),
        (lambda: dg.correlate(x, weight(6, 2, 3, 3), groups=3),
         "correlate (m.py:1) expects 6 channels like the weights, 2 in each of 3 groups, not 3"
         + GIVEN + of(6, 2, 3, 3)),
        (lambda: dg.correlate(x, weight(2, 3)),
         "correlate (m.py:1) expects weights of three or more axes, two of channels and then taps, "
         "not (2, 3)" + GIVEN + of(2, 3)),
        (lambda: dg.correlate(x, weight(2, 3, 0, 3)),
         "correlate (m.py:1) expects windows of 1 tap or more, not (0, 3)" + GIVEN
         + of(2, 3, 0, 3)),
        (lambda: dg.correlate(x, weight(2, 3, 3, 3), stride=(1, 1, 1)),
         "correlate (m.py:1) expects stride of one number or of 2, one for each axis of space, not "
         "of 3" + GIVEN + of(2, 3, 3, 3)),
        (lambda: dg.correlate(x, weight(2, 3, 3, 3), 2, "same"),
         "correlate (m.py:1) expects a stride of 1 with padding=\"same\", not 2" + GIVEN
         + of(2, 3, 3, 3) + ": \"same_strided\" gives ceil(n / stride) positions"),
        (lambda: dg.correlate(line, weight(2, 2, 3), 2, "same_strided"),
         "correlate (m.py:1) expects a known size of axes with padding=\"same_strided\" and a "
         "stride of 2, not T; given (B, 2, T) float32 from observed 'line' (m.py:1) and "
         + of(2, 2, 3) + ": give the padding in numbers"),
        (lambda: dg.conv_transpose(x, weight(2, 3, 3, 3)),
         "conv_transpose (m.py:1) expects 2 channels like the weights, not 3" + GIVEN
         + of(2, 3, 3, 3)),
        (lambda: dg.conv_transpose(x, weight(3, 2, 3, 3), 2, output_padding=2),
         "conv_transpose (m.py:1) expects output_padding below the stride 2 or the dilation 1, not "
         "2" + GIVEN + of(3, 2, 3, 3)),
        (lambda: dg.conv_transpose(x, weight(3, 2, 3, 3), padding=(0, 5)),
         "conv_transpose (m.py:1) expects more positions for a padding of 5 and 5, not 6" + GIVEN
         + of(3, 2, 3, 3)),
    ]  # fmt: skip
    for make, expected in cases:
        (mistake,) = make().mistakes
        assert type(mistake) is dg.ShapeError
        assert text(mistake) == expected
    whole = dg.observed("whole", (2, 3, 4), "int32")
    (mistake,) = dg.correlate(whole, whole).mistakes
    assert type(mistake) is dg.DtypeError
    assert text(mistake).startswith("correlate (m.py:1) expects floats, not int32")


def test_wrong_numbers() -> None:
    x, w = dg.observed("x", ("B", 3, 4, 6)), dg.observed("w", (2, 3, 3, 3))
    cases: list[tuple[type[Exception], dict[str, Any], str]] = [
        (ValueError, {"stride": 0}, "expects stride to be an integer of 1 or more, got 0"),
        (TypeError, {"stride": 1.5}, "expects stride to be an integer of 1 or more, got 1.5"),
        (ValueError, {"dilation": (1, 0)}, "expects dilation to be an integer of 1 or more, got 0"),
        (ValueError, {"padding": -1}, "expects padding to be an integer of 0 or more, got -1"),
        (ValueError, {"padding": ((1, 2, 3),)},
         "expects padding to be a number, a pair (before, behind) for each axis, or a word, got a "
         "tuple"),
        (ValueError, {"padding": "causal"},
         "expects padding to be 'valid', 'full', 'same' or 'same_strided', a number or pairs of "
         "them, got 'causal'"),
        (ValueError, {"groups": 0}, "expects groups to be an integer of 1 or more, got 0"),
    ]  # fmt: skip
    for kind, options, expected in cases:
        with pytest.raises(kind) as error:
            dg.correlate(x, w, **options)
        assert text(error.value) == f"correlate (m.py:1) {expected}"
    with pytest.raises(dg.ShapeError) as error:
        dg.conv_shape((9, 4), 5)
    assert text(error.value) == (
        "conv_shape (m.py:1) expects 5 or more elements for a window of 5 taps, got 4"
    )
    with pytest.raises(ValueError, match="output_padding of 0 without transposed=True"):
        dg.conv_shape(9, 3, output_padding=1)
