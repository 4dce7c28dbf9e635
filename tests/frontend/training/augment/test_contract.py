"""What holds for every transform: shapes, dtypes, seeds, threads, and what is refused."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.training.augment import native

from .images import Array, images, rng

A: Any = dg.augment  # which is handed what its types refuse
TRANSFORMS: list[Any] = [
    A.RandomCrop(5),
    A.RandomCrop((3, 6), padding=(2, 0), mode="reflect"),
    A.RandomFlip(),
    A.RandomFlip("vertical", p=0.3),
    A.RandomAffine(30, 0.2, 0.2, 10, fill=0.5),
    A.ColorJitter(0.4, 0.4, 0.4),
    A.ColorJitter(brightness=0.4, limits=None),
    A.GaussianBlur(5),
    A.RandomErasing(p=0.8, value=0.5),
    A.RandomApply(A.GaussianBlur(3)),
    A.Compose([A.RandomCrop(7, padding=2), A.RandomAffine(20), A.ColorJitter(0.2)]),
]
ids = [f"{i}-{type(item).__name__}" for i, item in enumerate(TRANSFORMS)]
every = pytest.mark.parametrize("transform", TRANSFORMS, ids=ids)


def shape_after(transform: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(transform, A.Compose):
        transform = transform.transforms[0]
    return (*shape[:2], *transform.size) if isinstance(transform, A.RandomCrop) else shape


@every
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_seed_gives_the_same_bits(transform: Any, dtype: str) -> None:
    x = images(6, 3, 7, 7, dtype=dtype)
    kept = x.copy()
    first, again, other = (transform(x, rng(seed)) for seed in (1, 1, 2))
    assert first.dtype == x.dtype and first.shape == shape_after(transform, x.shape)
    assert first.tobytes() == again.tobytes() and (first != other).any()
    assert (x == kept).all() and not np.shares_memory(first, x)


@every
def test_strides_and_read_only_arrays_change_nothing(transform: Any) -> None:
    x = images(7, 3, 14, 7).transpose(3, 1, 0, 2)[::-1, :, :, ::2]
    assert x.shape == (7, 3, 7, 7) and not x.flags.c_contiguous
    expected = transform(np.ascontiguousarray(x), rng())
    x.flags.writeable = False
    assert transform(x, rng()).tobytes() == expected.tobytes()


@every
@pytest.mark.parametrize("shape", [(0, 3, 7, 7), (1, 1, 7, 7), (2, 1, 7, 1), (2, 3, 1, 1)])
def test_few_samples_channels_and_pixels(transform: Any, shape: tuple[int, ...]) -> None:
    if shape[2:] != (7, 7) and shape_after(transform, shape) != shape:
        transform = A.RandomCrop(1, padding=3, mode="edge")
    x = images(*shape)
    found = transform(x, rng())
    assert found.shape == shape_after(transform, shape) and np.isfinite(found).all()


@pytest.mark.parametrize("shape", [(2, 3, 0, 4), (2, 3, 4, 0)])
def test_images_without_pixels(shape: tuple[int, ...]) -> None:
    for transform in TRANSFORMS:
        if not isinstance(transform, (A.RandomCrop, A.Compose)):
            assert transform(images(*shape), rng()).shape == shape
    assert (A.RandomCrop(2, 1, fill=3.0)(np.zeros((2, 1, 0, 0)), rng()) == 3.0).all()
    with pytest.raises(dg.InputError) as error:
        A.RandomCrop(2, 1, mode="edge")(np.zeros((2, 1, 0, 0)), rng())
    assert re.sub(r":\d+\)", ":0)", str(error.value)) == (
        "RandomCrop (test_contract.py:0) expects images that hold 2x2 pixels, got (2, 1, 0, 0) and "
        "padding (1, 1): no pixels to repeat"
    )


@pytest.mark.parametrize("transform", TRANSFORMS[4:9], ids=ids[4:9])
def test_bits_do_not_depend_on_threads(transform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = images(64, 3, 40, 41)
    found: list[Array] = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("DIAGRAD_THREADS", threads)
        native._program.cache_clear()
        found.append(transform(x, rng()))
    native._program.cache_clear()
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()


def test_an_image_does_not_depend_on_those_beside_it() -> None:
    x, weights, places = images(9, 3, 13, 11), images(9, 5), images(9, 6, seed=1) - 0.3
    factors = images(9, 3, seed=2) + 0.5
    calls: list[Callable[[slice], Array]] = [
        lambda s: native.separable(x[s], weights[s]),
        lambda s: native.sampled(x[s], places[s], 0.5),
        lambda s: native.jittered(x[s], factors[s], 0.0, 0.0, 1.0),
    ]
    for call in calls:
        assert call(slice(4, 5)).tobytes() == call(slice(None))[4:5].tobytes()


def test_transforms_are_values() -> None:
    assert A.RandomCrop(4) == A.RandomCrop((4, 4)) != A.RandomCrop(4, padding=1)
    assert len({A.RandomFlip(), A.RandomFlip("horizontal", 0.5), A.RandomFlip(p=0.1)}) == 2
    assert repr(A.RandomAffine(degrees=10, scale=(0.5, 2))) == (
        "RandomAffine(degrees=(-10.0, 10.0), translate=(0.0, 0.0), scale=(0.5, 2.0), "
        "shear=(0.0, 0.0), fill=0.0)"
    )
    with pytest.raises(AttributeError):
        A.RandomFlip().p = 1.0


def test_what_is_no_batch_of_images() -> None:
    cases: list[tuple[Any, type[Exception], str]] = [
        (
            np.zeros((2, 3, 4, 4), np.uint8), dg.InputError,
            "expects images float32 or float64 (N, C, H, W), got uint8 (2, 3, 4, 4): convert them "
            "once, as images.astype(np.float32) / 255",
        ),
        (
            np.zeros((2, 4, 4), np.float32), dg.InputError,
            "expects images float32 or float64 (N, C, H, W), got float32 (2, 4, 4): images[:, "
            "np.newaxis] has one channel",
        ),
        (
            np.zeros((2, 3, 4, 4), ">f4"), dg.InputError,
            "expects images float32 or float64 (N, C, H, W), got >f4 (2, 3, 4, 4)",
        ),
        (
            [[0.5]], TypeError,
            "expects images as an array float32 or float64 (N, C, H, W), got a list",
        ),
    ]  # fmt: skip
    for value, kind, message in cases:
        for transform in TRANSFORMS:
            with pytest.raises(kind) as error:
                transform(value, rng())
            shown = re.sub(r" \(test_contract.py:\d+\)", "", str(error.value))
            assert shown == f"{type(transform).__name__} {message}"
    with pytest.raises(TypeError, match=r"expects rng to be np.random.default_rng\(seed\), got 3"):
        A.RandomFlip()(images(1, 1, 2, 2), 3)


WRONG: list[tuple[Any, type[Exception], str]] = [
    (lambda: A.RandomCrop(0), ValueError,
     "RandomCrop expects size to be an integer of 1 or more, got 0"),
    (lambda: A.RandomCrop((1, 2, 3)), TypeError,
     "RandomCrop expects size to be an integer or two, (vertical, horizontal), got a tuple"),
    (lambda: A.RandomCrop(3, padding=-1), ValueError,
     "RandomCrop expects padding to be an integer of 0 or more, got -1"),
    (lambda: A.RandomCrop(3, mode="wrap"), ValueError,
     "RandomCrop expects mode to be 'constant', 'edge' or 'reflect', got 'wrap'"),
    (lambda: A.RandomFlip("diagonal"), ValueError,
     "RandomFlip expects direction to be 'horizontal' or 'vertical', got 'diagonal'"),
    (lambda: A.RandomFlip(p=1.5), ValueError,
     "RandomFlip expects p to be a number of 0 or more and of 1 or less, got 1.5"),
    (lambda: A.RandomAffine(-3), ValueError,
     "RandomAffine expects degrees to be a number of 0 or more, got -3"),
    (lambda: A.RandomAffine((3, 1)), ValueError,
     "RandomAffine expects degrees to be a range (least, greatest), the least first, got (3, 1)"),
    (lambda: A.RandomAffine(scale=1), ValueError,
     "RandomAffine expects scale to be a number above 0, got 0.0"),
    (lambda: A.RandomAffine(shear=90), ValueError,
     "RandomAffine expects shear to be a number above -90 and below 90, got -90.0"),
    (lambda: A.RandomAffine(translate="x"), TypeError,
     "RandomAffine expects translate to be a number of 0 or more, got 'x'"),
    (lambda: A.ColorJitter(brightness=(-1, 1)), ValueError,
     "ColorJitter expects brightness to be a number of 0 or more, got -1"),
    (lambda: A.ColorJitter(limits=1), TypeError,
     "ColorJitter expects limits to be a range (least, greatest), got 1"),
    (lambda: A.GaussianBlur(4), ValueError,
     "GaussianBlur expects kernel to be an odd number, got 4"),
    (lambda: A.GaussianBlur(3, sigma=0), ValueError,
     "GaussianBlur expects sigma to be a number above 0, got 0"),
    (lambda: A.RandomErasing(scale=(0.1, 2)), ValueError,
     "RandomErasing expects scale to be a number of 1 or less, got 2.0"),
    (lambda: A.RandomErasing(ratio=(0, 1)), ValueError,
     "RandomErasing expects ratio to be a number above 0, got 0"),
    (lambda: A.Compose(A.RandomFlip()), TypeError,
     "Compose expects transforms to be a list of transforms, got a RandomFlip"),
    (lambda: A.Compose([3]), TypeError,
     "Compose expects each transform to be a function, a transform of dg.augment or a function of "
     "(images, rng), got 3"),
    (lambda: A.ColorJitter()(images(1, 2, 3, 3), rng()), dg.InputError,
     "ColorJitter expects images (N, 1, H, W) or (N, 3, H, W), got (1, 2, 3, 3)"),
    (lambda: A.RandomErasing(value=(1, 2))(images(1, 3, 3, 3), rng()), dg.InputError,
     "RandomErasing expects images of 2 channels, as many as value has, got (1, 3, 3, 3)"),
    (lambda: A.RandomCrop(5, padding=(1, 0))(images(1, 3, 3, 4), rng()), dg.InputError,
     "RandomCrop expects images that hold 5x5 pixels, got (1, 3, 3, 4) and padding (1, 0): 5x4 "
     "pixels"),
    (lambda: A.RandomApply(A.RandomCrop(2), p=1)(images(2, 3, 3, 3), rng()), dg.InputError,
     "RandomApply expects of RandomCrop(size=(2, 2), padding=(0, 0), mode='constant', fill=0.0) an "
     "array float32 (2, 3, 3, 3), got an array float32 (2, 3, 2, 2)"),
    (lambda: A.RandomApply(lambda images, rng: None, p=1)(images(2, 3, 3, 3), rng()), dg.InputError,
     "RandomApply expects of <lambda> an array float32 (2, 3, 3, 3), got None"),
    (lambda: A.Compose([lambda images, rng: [1]])(images(2, 3, 3, 3), rng()), dg.InputError,
     "Compose expects of <lambda> an array, got a list"),
    (lambda: A.GaussianBlur(kernel_size=3), TypeError,
     "GaussianBlur expects the arguments kernel, sigma, got kernel_size=: use kernel="),
    (lambda: A.RandomCrop(3, padding_mode="edge"), TypeError,
     "RandomCrop expects the arguments size, padding, mode, fill, got padding_mode=: use mode="),
]  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=[message[:40] for _, _, message in WRONG])
def test_wrong_arguments(case: tuple[Any, type[Exception], str]) -> None:
    call, kind, message = case
    with pytest.raises(kind) as error:
        call()
    assert re.sub(r" \(test_contract.py:\d+\)", "", str(error.value)) == message
