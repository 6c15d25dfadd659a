"""The expected pictures come from scipy's affine_transform, or from moving pixels by hand."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from mnist_core.config import TrainConfig
from mnist_core.data.augment import augment, variants

STRONG = TrainConfig(rotation=20, translation=3, scaling=0.2, shear=15)


@pytest.fixture
def picture() -> torch.Tensor:
    """(1, 1, 28, 28): smooth and without any symmetry."""
    noise = np.random.default_rng(0).random((28, 28))
    noise[:5] = noise[-5:] = noise[:, :5] = noise[:, -5:] = 0
    smooth = ndimage.gaussian_filter(noise, 1.0)
    return torch.tensor(smooth / smooth.max(), dtype=torch.float32).view(1, 1, 28, 28)


def draw_always(monkeypatch, value: float) -> None:
    """Each random number of the augmentation becomes `value`, in [0, 1]."""
    monkeypatch.setattr(torch, "rand", lambda n, **_: torch.full((n,), value))


def mapped(image: torch.Tensor, matrix: list[list[float]]) -> np.ndarray:
    """The output pixel at `p` (x, y from the centre) is the input's at `matrix @ p`."""
    (a, b), (c, d) = matrix
    rows_first = np.array([[d, c], [b, a]])
    centre = np.array([13.5, 13.5])
    offset = centre - rows_first @ centre
    return ndimage.affine_transform(image[0, 0].double().numpy(), rows_first, offset, order=1, mode="grid-constant")


def test_without_any_knob_the_very_same_tensor_comes_back(picture):
    before = torch.get_rng_state()
    assert augment(picture, TrainConfig()) is picture
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("drawn", "shift"), [(1.0, 3), (0.0, -3), (0.5, 0)])
def test_whole_pixel_shifts_move_pixels_and_fill_with_black(monkeypatch, picture, drawn, shift):
    draw_always(monkeypatch, drawn)
    bright = picture + 0.5
    moved = augment(bright, TrainConfig(translation=3))
    expected = torch.zeros(28, 28)
    for y in range(28):
        for x in range(28):
            if 0 <= y + shift < 28 and 0 <= x + shift < 28:
                expected[y, x] = bright[0, 0, y + shift, x + shift]
    torch.testing.assert_close(moved[0, 0], expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("drawn", [0.0, 1.0])
def test_rotation_turns_by_its_angle(monkeypatch, picture, drawn):
    draw_always(monkeypatch, drawn)
    angle = math.radians(30) * (2 * drawn - 1)
    expected = mapped(picture, [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    np.testing.assert_allclose(augment(picture, TrainConfig(rotation=30))[0, 0], expected, atol=1e-4)


@pytest.mark.parametrize(("drawn", "factor"), [(1.0, 1.25), (0.0, 0.75)])
def test_scaling_enlarges_and_shrinks_by_its_fraction(monkeypatch, picture, drawn, factor):
    draw_always(monkeypatch, drawn)
    expected = mapped(picture, [[1 / factor, 0], [0, 1 / factor]])
    np.testing.assert_allclose(augment(picture, TrainConfig(scaling=0.25))[0, 0], expected, atol=1e-4)


@pytest.mark.parametrize("drawn", [0.0, 1.0])
def test_shear_slants_by_its_angle(monkeypatch, picture, drawn):
    draw_always(monkeypatch, drawn)
    expected = mapped(picture, [[1, math.tan(math.radians(20)) * (2 * drawn - 1)], [0, 1]])
    np.testing.assert_allclose(augment(picture, TrainConfig(shear=20))[0, 0], expected, atol=1e-4)


def test_a_flip_mirrors_about_half_of_the_images(picture):
    torch.manual_seed(0)
    colours = torch.cat([picture, picture * 0.5, picture.transpose(2, 3)], dim=1)
    flipped = augment(colours.expand(400, -1, -1, -1), TrainConfig(flip=True))
    mirrored = torch.from_numpy(colours[0].numpy()[:, :, ::-1].copy())
    count = sum(torch.equal(image, mirrored) for image in flipped)
    assert sum(torch.equal(image, colours[0]) for image in flipped) == 400 - count
    assert abs(count - 200) < 50  # five standard deviations


@pytest.mark.parametrize(("side", "height", "width"), [(1, 28, 28), (7, 28, 28), (8, 32, 20), (32, 9, 9)])
def test_erasing_blanks_one_square_and_nothing_else(side, height, width):
    torch.manual_seed(0)
    batch = torch.rand(500, 3, height, width) + 0.1
    erased = augment(batch, TrainConfig(erasing=side))
    inside = erased == 0
    assert torch.equal(erased[~inside], batch[~inside])
    assert torch.equal(inside, inside[:, :1].expand_as(inside))  # all channels alike
    whole, centres = 0, set()
    for image in inside[:, 0]:
        rows, columns = (image.any(dim=dim).nonzero().flatten().tolist() for dim in (1, 0))
        top, bottom, left, right = rows[0], rows[-1], columns[0], columns[-1]
        assert image.sum() == (bottom - top + 1) * (right - left + 1)  # a rectangle without holes
        for first, last, length in ((top, bottom, height), (left, right, width)):
            cut = first == 0 or last == length - 1
            assert last - first + 1 == side or (cut and (side + 1) // 2 <= last - first + 1 < side) or side > length
        whole += image.sum().item() == min(side, height) * min(side, width)
        centres.add((top, left))
    assert whole > 0
    assert len(centres) > 50 or side > height


def test_mirrored_and_blanked_images_leave_what_was_given_alone(picture):
    batch = picture.repeat(20, 1, 1, 1)
    before = batch.clone()
    changed = augment(batch, TrainConfig(flip=True, erasing=8))
    assert torch.equal(batch, before)
    assert not torch.equal(changed, before)
    assert (changed.shape, changed.dtype) == (before.shape, torch.float32)


def test_a_centred_disc_looks_the_same_from_every_angle():
    y, x = np.mgrid[:28, :28] - 13.5
    disc = torch.tensor(1 / (1 + np.exp(2 * (np.hypot(x, y) - 8))), dtype=torch.float32).expand(64, 1, 28, 28)
    turned = augment(disc, TrainConfig(rotation=45))
    assert (turned - disc).abs().max() < 0.12
    assert (turned - disc).abs().mean() < 0.01


def test_bending_moves_points_by_about_its_pixels():
    """A dot's displacement over many images, against the field's deviation at its knots."""
    images = torch.zeros(2000, 1, 28, 28)
    images[:, 0, 13:15, 13:15] = 1.0
    torch.manual_seed(0)
    bent = augment(images, TrainConfig(elastic=1.0))[:, 0]
    places = torch.arange(28.0)
    rows = (bent.sum(2) * places).sum(1) / bent.sum((1, 2))
    columns = (bent.sum(1) * places).sum(1) / bent.sum((1, 2))
    for moved in (rows, columns):
        assert abs(moved.mean().item() - 13.5) < 0.1
        assert 0.5 < moved.std().item() < 1.2
    assert abs(torch.corrcoef(torch.stack([rows, columns]))[0, 1].item()) < 0.1


def test_each_image_of_a_batch_is_augmented_differently(picture):
    moved = augment(picture.expand(50, -1, -1, -1), STRONG).flatten(1)
    distances = torch.cdist(moved, moved) + torch.eye(50) * 1e9
    assert distances.min() > 0.01


def test_the_same_seed_gives_the_same_pictures(picture):
    batch = picture.repeat(8, 1, 1, 1)

    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return augment(batch, STRONG)

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (3, 3, 32, 32), (1, 1, 28, 28)])
def test_shape_dtype_and_range_stay(shape):
    batch = torch.rand(shape)
    before = batch.clone()
    moved = augment(batch, STRONG)
    assert moved.shape == shape
    assert moved.dtype == torch.float32
    assert moved.min() >= 0
    assert moved.max() <= 1 + 1e-6
    assert torch.equal(batch, before)
    assert moved.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("pixels", [2, 2.5])
def test_what_is_only_shifted_is_not_blurred(pixels):
    image = torch.zeros(1, 28, 28)
    image[0, 10:18, 10:18] = torch.randperm(64).view(8, 8) + 1
    torch.manual_seed(0)
    moved = augment(image.expand(500, -1, -1, -1), TrainConfig(translation=pixels)).round(decimals=3)
    assert (moved.flatten(1).sort(dim=1).values == image.flatten().sort().values).all()
    tops = (moved > 0).any(dim=3).float().argmax(dim=2).flatten()
    assert sorted(set(tops.tolist())) == [8, 9, 10, 11, 12]
    blurred = augment(image.expand(9, -1, -1, -1), TrainConfig(translation=pixels, rotation=1)).round(decimals=3)
    assert (blurred.flatten(1).sort(dim=1).values != image.flatten().sort().values).any(dim=1).all()


def test_shifts_fill_their_range_evenly_and_never_leave_it():
    batch = torch.zeros(2000, 1, 28, 28)
    batch[:, 0, 13:15, 13:15] = 1
    torch.manual_seed(0)
    moved = augment(batch, TrainConfig(translation=4))[:, 0]
    where = torch.arange(28).float()
    mass = moved.sum(dim=(1, 2))
    for shifts in ((moved.sum(dim=1) @ where) / mass - 13.5, (moved.sum(dim=2) @ where) / mass - 13.5):
        assert shifts.abs().max() <= 4 + 1e-3
        assert shifts.min() < -3.9
        assert shifts.max() > 3.9
        assert abs(shifts.mean()) < 0.2
        assert shifts.std() == pytest.approx(8 / math.sqrt(12), rel=0.05)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 20)])
def test_variants_without_any_knob_are_the_image_itself(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    same = variants(image, TrainConfig(), 4, seed=1)
    assert same.dtype == np.uint8
    np.testing.assert_array_equal(same, [image] * 4)


def test_variants_are_what_the_augmentation_of_a_training_makes(picture):
    image = (picture[0] * 255).round().to(torch.uint8)
    drawn = variants(image.numpy(), STRONG, 8, seed=3)
    torch.manual_seed(3)
    expected = augment((image.float() / 255).repeat(8, 1, 1, 1), STRONG) * 255
    assert np.abs(drawn - expected.numpy()).max() <= 0.5 + 1e-4
    assert not np.array_equal(drawn, variants(image.numpy(), STRONG, 8, seed=4))


def test_variants_leave_the_random_state_of_others_alone(picture):
    before = torch.get_rng_state()
    variants((picture[0] * 255).to(torch.uint8).numpy(), STRONG, 2, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
