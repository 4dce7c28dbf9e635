"""What each transform computes: by hand, by NumPy and PyTorch, and how its draws are spread."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.training.augment import native

from .images import Array, images, rng

A: Any = dg.augment


def numbered(*shape: int) -> Array:
    return np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)


def test_a_crop_of_the_same_size_is_the_image() -> None:
    x = images(4, 3, 5, 6)
    assert (A.RandomCrop((5, 6))(x, rng()) == x).all()


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
def test_a_crop_is_a_part_of_the_padded_image(mode: str) -> None:
    x = numbered(1, 2, 3, 4)
    crop = A.RandomCrop((2, 5), padding=(1, 2), mode=mode, fill=-7.0)
    kind: Any = mode
    options = {"constant_values": -7.0} if mode == "constant" else {}
    padded = np.pad(x[0], ((0, 0), (1, 1), (2, 2)), mode=kind, **options)
    parts = {
        padded[:, top : top + 2, left : left + 5].tobytes(): (top, left)
        for top in range(4)
        for left in range(4)
    }
    count = 3200
    found = [parts[part.tobytes()] for part in crop(np.repeat(x, count, axis=0), rng())]
    seen = np.zeros((4, 4))
    np.add.at(seen, tuple(np.transpose(found)), 1)
    # 200 expected at each of 16 places; six standard deviations are 82.
    assert abs(seen - count / 16).max() < 6 * np.sqrt(count / 16 * 15 / 16)


@pytest.mark.parametrize(("direction", "axis"), [("horizontal", 3), ("vertical", 2)])
def test_flips(direction: str, axis: int) -> None:
    x = images(1000, 2, 3, 4)
    mirrored = np.flip(x, axis)
    always = A.RandomFlip(direction, p=1.0)
    assert (always(x, rng()) == mirrored).all()
    assert (always(always(x, rng()), rng()) == x).all()
    assert (A.RandomFlip(direction, p=0.0)(x, rng()) == x).all()
    some = A.RandomFlip(direction, p=0.3)(x, rng())
    changed = (some == mirrored).all(axis=(1, 2, 3))
    assert (changed | (some == x).all(axis=(1, 2, 3))).all()
    assert abs(changed.mean() - 0.3) < 6 * np.sqrt(0.3 * 0.7 / 1000)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_affine_map_that_does_nothing_changes_no_bit(dtype: str) -> None:
    for shape in ((3, 3, 8, 8), (2, 1, 7, 5), (1, 2, 1, 1)):
        x = images(*shape, dtype=dtype)
        assert A.RandomAffine()(x, rng()).tobytes() == x.tobytes()


@pytest.mark.parametrize("quarters", [-1, 1, 2])
def test_degrees_turn_counter_clockwise(quarters: int) -> None:
    x = images(2, 3, 6, 6)
    turned = A.RandomAffine((90 * quarters, 90 * quarters))(x, rng())
    np.testing.assert_allclose(turned, np.rot90(x, quarters, axes=(2, 3)), atol=3e-6)


def test_a_scale_of_two_shows_the_middle_twice_as_large() -> None:
    x = np.zeros((1, 1, 5, 5), np.float32)
    x[0, 0, 2, 2] = 1.0
    row = np.array([0.0, 0.5, 1.0, 0.5, 0.0])
    found = A.RandomAffine(scale=(2, 2))(x, rng())
    np.testing.assert_allclose(found[0, 0], np.outer(row, row), atol=1e-6)


def test_a_shear_of_45_degrees_moves_each_row_by_one_more() -> None:
    x = numbered(1, 1, 3, 3)
    found = A.RandomAffine(shear=(45, 45), fill=-1.0)(x, rng())
    np.testing.assert_allclose(found[0, 0], [[2, 3, -1], [4, 5, 6], [-1, 7, 8]], atol=1e-5)


def test_translations_stay_within_their_parts() -> None:
    x = np.zeros((2000, 1, 21, 11), np.float32)
    x[:, 0, 10, 5] = 1.0
    found = A.RandomAffine(translate=(0.25, 0.2))(x, rng()).astype(np.float64)
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), 1.0, atol=1e-4)
    down = (found.sum(axis=(1, 3)) * np.arange(21)).sum(axis=1) - 10
    right = (found.sum(axis=(1, 2)) * np.arange(11)).sum(axis=1) - 5
    for moved, reach in ((down, 0.25 * 21), (right, 0.2 * 11)):
        assert reach * 0.98 < abs(moved).max() <= reach + 1e-3
        assert abs(moved.mean()) < 6 * reach / np.sqrt(3 * 2000)  # a uniform distribution
        assert abs(moved.std() - reach / np.sqrt(3)) < 0.05 * reach
    assert abs(np.corrcoef(down, right)[0, 1]) < 6 / np.sqrt(2000)


def bilinear(image: Array, row: float, column: float, fill: float) -> float:
    """One place of one channel, in the plainest way."""
    top, left = int(np.floor(row)), int(np.floor(column))
    value = 0.0
    for y in (top, top + 1):
        for x in (left, left + 1):
            there = 0 <= y < image.shape[0] and 0 <= x < image.shape[1]
            weight = (1 - abs(row - y)) * (1 - abs(column - x))
            value += weight * (image[y, x] if there else fill)
    return value


def test_sampling_is_bilinear_with_the_fill_outside() -> None:
    x, draws = images(5, 2, 4, 6, dtype="float64"), np.random.default_rng(3)
    places = draws.uniform(-1.2, 1.2, (5, 6)) * [1, 1, 4, 1, 1, 6]
    found = native.sampled(x, places, 0.7)
    expected = np.empty_like(x)
    for n, c, i, j in np.ndindex(x.shape):
        p = places[n]
        row, column = p[0] * i + p[1] * j + p[2], p[3] * i + p[4] * j + p[5]
        expected[n, c, i, j] = bilinear(x[n, c], row, column, 0.7)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_affine_maps_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    x = images(6, 3, 9, 13, dtype="float64")
    degrees, factor, shear, move = 25.0, 1.3, 12.0, (0.0, 0.0)
    found = A.RandomAffine((degrees,) * 2, move, (factor,) * 2, (shear,) * 2)(x, rng())
    a, t = np.deg2rad(degrees), np.tan(np.deg2rad(shear))
    # In (x, y) with y downwards: shear first, then scale, then turn.
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    back = np.linalg.inv(turn @ (factor * np.eye(2)) @ np.array([[1.0, t], [0.0, 1.0]]))
    height, width = x.shape[2:]
    unit = np.diag([2 / width, 2 / height])  # affine_grid counts from -1 to 1
    theta = np.concatenate([unit @ back @ np.linalg.inv(unit), np.zeros((2, 1))], axis=1)
    grid = torch.nn.functional.affine_grid(
        torch.tensor(theta).expand(6, 2, 3), list(x.shape), align_corners=False
    )
    expected = torch.nn.functional.grid_sample(torch.tensor(x), grid, align_corners=False).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def jitter_by_hand(x: Array, b: float, c: float, s: float) -> Array:
    def grey(x: Array) -> Array:
        return x if x.shape[1] == 1 else 0.299 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:]

    x = np.clip(b * x, 0, 1)
    x = np.clip(c * x + (1 - c) * grey(x).mean(axis=(1, 2, 3), keepdims=True), 0, 1)
    return np.clip(s * x + (1 - s) * grey(x), 0, 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factors", [(1.6, 0.5, 0.3), (0.4, 1.8, 2.5), (0.0, 1.0, 1.0)])
def test_colours_by_hand(channels: int, factors: tuple[float, float, float]) -> None:
    x = images(3, channels, 5, 4, dtype="float64")
    found = A.ColorJitter(*((f, f) for f in factors))(x, rng())
    np.testing.assert_allclose(found, jitter_by_hand(x, *factors), atol=1e-12)
    scaled = A.ColorJitter(*((f, f) for f in factors), limits=(-1, 1))(2 * x - 1, rng())
    np.testing.assert_allclose(scaled, 2 * found - 1, atol=1e-12)


def test_a_jitter_of_nothing_changes_no_bit_and_limits_can_be_left_out() -> None:
    x = images(4, 3, 5, 5)
    assert A.ColorJitter()(x, rng()).tobytes() == x.tobytes()
    y = 5 * x - 2
    assert A.ColorJitter(limits=None)(y, rng()).tobytes() == y.tobytes()
    assert (A.ColorJitter((3, 3), limits=None)(y, rng()) == 3 * y).all()


def test_factors_are_uniform_and_each_image_has_its_own() -> None:
    x = np.full((2000, 1, 1, 1), 0.25)
    factor = A.ColorJitter(brightness=0.4)(x, rng())[:, 0, 0, 0] / 0.25
    assert 0.6 <= factor.min() < 0.61 and 1.39 < factor.max() <= 1.4
    assert abs(factor.mean() - 1) < 6 * 0.4 / np.sqrt(3 * 2000)
    assert A.ColorJitter(brightness=2).brightness == (0.0, 3.0)


def blur_by_hand(x: Array, kernel: int, sigma: float) -> Array:
    reach = kernel // 2
    t = np.arange(-reach, reach + 1)
    g = np.exp(-(t**2) / (2 * sigma**2))
    g /= g.sum()
    padded = np.pad(x, ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
    found: Array = np.einsum("nchwij,i,j->nchw", windows, g, g)
    return found


@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize("shape", [(3, 2, 8, 5), (2, 1, 1, 9), (1, 3, 2, 2)])
def test_blur_by_hand(kernel: int, shape: tuple[int, ...]) -> None:
    x = images(*shape, dtype="float64")
    for sigma in (0.5, 3.0):
        found = A.GaussianBlur(kernel, sigma)(x, rng())
        np.testing.assert_allclose(found, blur_by_hand(x, kernel, sigma), atol=1e-12)


def test_blur_draws_a_width_for_each_image() -> None:
    x = np.zeros((500, 1, 19, 19))
    x[:, 0, 9, 9] = 1.0
    found = A.GaussianBlur(9, (0.5, 1.5))(x, rng())
    np.testing.assert_allclose(found.sum(axis=(2, 3)), 1.0, atol=1e-12)
    ratio = found[:, 0, 9, 10] / found[:, 0, 9, 9]  # exp(-1 / (2 sigma^2))
    sigma = np.sqrt(-0.5 / np.log(ratio))
    assert 0.5 <= sigma.min() < 0.51 and 1.49 < sigma.max() <= 1.5
    tiny = A.GaussianBlur(3, 1e-200)(x, rng())
    assert (tiny == x).all()


def test_what_is_erased_is_one_rectangle_of_its_area_and_ratio() -> None:
    x = images(600, 2, 20, 30)
    found = A.RandomErasing(p=0.6, scale=(0.1, 0.3), ratio=(0.5, 2.0), value=(5.0, -5.0))(x, rng())
    changed = (found != x).any(axis=(1, 2, 3))
    assert abs(changed.mean() - 0.6) < 6 * np.sqrt(0.6 * 0.4 / 600)
    for image, old in zip(found[changed], x[changed], strict=True):
        rows, columns = np.nonzero(image[0] == 5.0)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == height * width  # all of the rectangle
        assert ((image[0] == 5.0) == (image[1] == -5.0)).all()
        assert (image[:, image[0] != 5.0] == old[:, image[0] != 5.0]).all()
        # Both sides are rounded to pixels.
        assert (height - 0.5) * (width - 0.5) <= 0.3 * 600
        assert (height + 0.5) * (width + 0.5) >= 0.1 * 600
        assert (height - 0.5) / (width + 0.5) <= 2.0 and (height + 0.5) / (width - 0.5) >= 0.5
    hit = (found[:, 0] == 5.0).any(axis=0)
    assert all(edge.any() for edge in (hit[0], hit[-1], hit[:, 0], hit[:, -1]))


def test_where_no_rectangle_fits_nothing_is_erased() -> None:
    x = images(50, 1, 2, 40)
    assert (A.RandomErasing(1.0, (0.5, 0.9), (3.0, 4.0))(x, rng()) == x).all()
    whole = A.RandomErasing(1.0, (1.0, 1.0), (1.0, 1.0), value=2.0)(images(3, 1, 6, 6), rng())
    assert (whole == 2.0).all()


def test_compose_is_one_after_another_from_one_generator() -> None:
    x = images(5, 3, 8, 8)
    first, second = A.RandomCrop(6), A.RandomAffine(20)
    draws = rng(4)
    expected = second(first(x, draws), draws)
    assert (A.Compose([first, second])(x, rng(4)) == expected).all()
    nothing = A.Compose([])(x, rng())
    assert (nothing == x).all() and not np.shares_memory(nothing, x)
    assert (A.Compose([lambda images, rng: images + 1])(x, rng()) == x + 1).all()


def test_some_are_changed_by_random_apply() -> None:
    x = images(1000, 1, 2, 2)
    found = A.RandomApply(lambda images, rng: images + 1, p=0.2)(x, rng())
    changed = (found == x + 1).all(axis=(1, 2, 3))
    assert (changed | (found == x).all(axis=(1, 2, 3))).all()
    assert abs(changed.mean() - 0.2) < 6 * np.sqrt(0.2 * 0.8 / 1000)


def test_where_none_is_chosen_the_transform_is_not_called() -> None:
    x = images(3, 1, 2, 2)
    assert (A.RandomApply(lambda images, rng: 1 / 0, p=0.0)(x, rng()) == x).all()
