"""Files of every sort and mode → pixels; bad ones → one sentence."""

import io
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from mnist_core.drawing import images
from mnist_core.drawing.images import MAX_BYTES, fit_image, flatten_alpha, read_picture, size_within
from mnist_core.drawing.preprocess import to_model_input
from mnist_core.errors import DrawingError
from tests.helpers.drawing import EIGHT, SEVEN, canvas, likeness


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises width × height px and holds only some of the first."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + head
        + struct.pack(">I", zlib.crc32(head))
        + b"\0\0\1\0IDAT"
        + bytes(99)
    )


NOISE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
BAD = {
    "empty": (b"", "is empty"),
    "text": (b"seven\n", "cannot be read as a picture"),
    "truncated PNG": (encoded(Image.fromarray(NOISE))[:2000], "damaged or cut short"),
    "truncated JPEG": (encoded(Image.fromarray(NOISE), "JPEG")[:1000], "damaged or cut short"),
    "too many bytes": (b"\x89PNG" + bytes(MAX_BYTES), "over the limit of 25 MB"),
    "too many pixels": (png_header(10001, 10000), "10001 × 10000 px, over 100 megapixels"),
    "WebP of too many pixels": (
        encoded(Image.new("L", (8001, 4000)), "WEBP"),
        "over the 32 megapixels that a WebP file may have: save it as JPEG or PNG, which may have 100,",
    ),
    "HEIC": (b"\0\0\0\x18ftypheic" + bytes(99), "HEIC photo"),
    "bomb": (png_header(60000, 60000), "over 100 megapixels"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot be read as a picture"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_in_one_sentence(case, tmp_path):
    data, message = BAD[case]
    (tmp_path / "mine.png").write_bytes(data)
    for source in (data, tmp_path / "mine.png", str(tmp_path / "mine.png")):
        with pytest.raises(DrawingError, match=message) as caught:
            read_picture(source)
        assert "\n" not in str(caught.value)
        assert str(caught.value).endswith(".")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(DrawingError, match="does not exist"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(DrawingError, match="cannot be opened"):
        read_picture(tmp_path)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_every_mode_reads_as_the_same_digit(mode):
    grey = canvas()
    picture = Image.fromarray(grey)
    if mode == "I;16":
        picture = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "F":
        picture = Image.fromarray(grey.astype(np.float32))
    else:
        picture = picture.convert("RGB").convert(mode) if mode in ("P", "CMYK") else picture.convert(mode)
    pixels = read_picture(encoded(picture, "TIFF" if mode in ("CMYK", "F") else "PNG"))
    assert pixels.dtype == np.uint8
    assert pixels.shape in ((280, 280), (280, 280, 3), (280, 280, 4))
    assert likeness(to_model_input(pixels), to_model_input(grey)) > (0.9 if mode == "1" else 0.98)


@pytest.mark.parametrize(("white", "black"), [(4095, 0), (1023, 0), (34000, 30000), (16383, 200)])
def test_a_part_of_16_bits_reads_as_the_same_digit(white, black):
    deep = (black + canvas() / 255 * (white - black)).astype(np.uint16)
    for kind in ("PNG", "TIFF"):
        pixels = read_picture(encoded(Image.fromarray(deep), kind))
        assert likeness(to_model_input(pixels), to_model_input(canvas())) > 0.98


def test_a_mask_of_0_and_1_reads_as_the_same_digit():
    for mask in ((canvas() > 127).astype(np.uint8), np.stack([(canvas() > 127).astype(np.uint8)] * 3, 2)):
        pixels = read_picture(encoded(Image.fromarray(mask)))
        assert likeness(to_model_input(pixels), to_model_input(canvas())) > 0.9


@pytest.mark.parametrize(("mode", "kind"), [("RGB", "JPEG"), ("RGB", "PNG"), ("P", "PNG"), ("1", "PNG"), ("LA", "PNG")])
def test_a_large_picture_is_shrunk_to_2048_px(mode, kind):
    picture = Image.fromarray(canvas()).resize((4200, 3000)).convert("RGB").convert(mode)
    pixels = read_picture(encoded(picture, kind))
    assert 1600 <= max(pixels.shape) <= 2048
    small = np.array(Image.fromarray(canvas()).resize((420, 300)))
    assert likeness(to_model_input(pixels), to_model_input(small)) > 0.95


def test_large_pictures_are_decoded_one_at_a_time(monkeypatch):
    monkeypatch.setattr(images, "LARGE_PIXELS", 100)
    inside, most, shrunk = [0], [0], images._shrunk

    def slowly(picture):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.05)
        inside[0] -= 1
        return shrunk(picture)

    monkeypatch.setattr(images, "_shrunk", slowly)
    for side, expected in ((20, 1), (10, 4)):
        most[0], data = 0, encoded(Image.new("L", (side, side)))
        with ThreadPoolExecutor(4) as pool:
            read = list(pool.map(read_picture, [data] * 4))
        assert [pixels.shape for pixels in read] == [(side, side)] * 4
        assert most[0] <= expected
    assert most[0] > 1  # small ones are not held up


def test_a_large_16_bit_picture_is_shrunk_to_2048_px():
    grey = np.asarray(Image.fromarray(canvas()).resize((2500, 2500))).astype(np.uint16) * 16
    pixels = read_picture(encoded(Image.fromarray(grey), "PNG"))
    assert pixels.shape == (2048, 2048)
    assert likeness(to_model_input(pixels), to_model_input(canvas())) > 0.95


def test_a_palette_with_a_transparent_colour():
    picture = Image.fromarray(255 - canvas()).convert("P")
    pixels = read_picture(encoded(picture, "PNG", transparency=255))
    assert pixels.shape == (280, 280, 4)
    assert likeness(to_model_input(pixels), to_model_input(canvas())) > 0.95


def test_an_animation_gives_its_first_frame():
    first, second = Image.fromarray(canvas(SEVEN)), Image.fromarray(canvas(EIGHT))
    pixels = read_picture(encoded(first, "GIF", save_all=True, append_images=[second]))
    assert likeness(to_model_input(pixels), to_model_input(canvas(SEVEN))) > 0.98


def test_exif_orientation_turns_the_picture_upright():
    turned = Image.fromarray(canvas()).transpose(Image.Transpose.ROTATE_90)  # a camera held sideways
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn a quarter clockwise to see it upright"
    pixels = read_picture(encoded(turned, "JPEG", exif=exif))
    assert likeness(to_model_input(pixels), to_model_input(canvas())) > 0.95


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((100, 50), (32, 32), (32, 16)),
        ((50, 100), (32, 20), (10, 20)),
        ((5000, 1), (28, 28), (28, 1)),
        ((4, 4), (8, 8), (8, 8)),
    ],
)
def test_sizes_keep_their_proportions(size, box, expected):
    assert size_within(size, *box) == expected


@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_wide_picture_lies_in_the_middle_of_its_borders_tone(channels):
    picture = np.full((20, 40, *channels), 200, np.uint8)
    picture[5:15, 10:30] = 20
    result = fit_image(picture, 32, 32)
    assert result.shape == (32, 32, *channels)
    assert (result[:8] == 200).all()
    assert (result[24:] == 200).all()
    dark = np.argwhere((result < 110) if not channels else (result < 110).all(axis=2))
    assert dark.min(0).tolist() == [12, 8]
    assert dark.max(0).tolist() == [19, 23]


def test_a_picture_of_that_size_is_unchanged():
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(fit_image(picture, 9, 7), picture)


def test_half_transparent_black_on_white_is_grey():
    picture = Image.fromarray(np.tile(np.array([0, 0, 0, 128], np.uint8), (2, 2, 1)))
    assert np.abs(np.asarray(flatten_alpha(picture)).astype(int) - 127).max() <= 1
