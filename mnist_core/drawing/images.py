"""Image files of any format and mode: checked before they are decoded, and fitted to a model's input size."""

from __future__ import annotations

import contextlib
import io
import math
import threading
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mnist_core.errors import DrawingError

MAX_BYTES = 25 * 1024**2
MAX_PIXELS, MAX_WEBP_PIXELS = 100_000_000, 32_000_000  # 5 and 16 bytes a pixel while decoded: 0.5 GB
DECODED_SIDE = 2048  # px: larger pictures are shrunk to this; a digit of a tenth of the side still has 200 px
DRAFT_PIXELS, DRAFT_SIDE = 4_000_000, 1600  # a JPEG of more pixels is decoded at 1/2, 1/4 or 1/8, to no less than this
LARGE_PIXELS = 16_000_000  # pictures of more are decoded one at a time
BAND = 256  # rows that are converted at a time: a large picture is never held twice
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")  # Pillow's others can start programs (EPS) or are rare
HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")  # brands in the first box of a HEIC file
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by the EXIF orientation
# Pillow warns from 89 megapixels on; set once, for changing it around a call would not be thread-safe
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
_large = threading.Lock()


def read_picture(source: bytes | str | Path) -> np.ndarray:
    """A file's bytes or its path → (H, W) or (H, W, 3 or 4) uint8, as `decode_picture` gives it.

    Raises DrawingError also when the file is missing or cannot be opened.
    """
    name = "The picture" if isinstance(source, bytes) else f"The picture {Path(source).name}"
    return decode_picture(source if isinstance(source, bytes) else _read_bytes(Path(source), name), name)


def decode_picture(data: bytes, name: str) -> np.ndarray:
    """A file's bytes → (H, W) or (H, W, 3 or 4) uint8, upright, first frame, at most 2048 px a side. Thread-safe.

    The format is told by the content. `name` begins the sentence of an error ("The picture 7.png"). Raises
    DrawingError when the file is empty, no picture, damaged, over 25 MB or over 100 megapixels (32 for WebP, as memory
    is to stay below 0.5 GB). The size is read from the header, before anything is decoded.
    """
    if not data:
        raise DrawingError(f"{name} is empty (0 bytes): choose another file.")
    if len(data) > MAX_BYTES:
        raise DrawingError(_too_large(name, len(data)))
    if data[4:8] == b"ftyp" and data[8:12] in HEIF:
        raise DrawingError(f"{name} is a HEIC photo, which cannot be read: save or send it as JPEG and try again.")
    limit = f"over {MAX_PIXELS // 10**6} megapixels"
    try:
        picture: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = picture.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DrawingError(f"{name} is {limit}: shrink or crop it and try again.") from None
    except Exception:  # Pillow's parsers raise errors of many types: OSError, SyntaxError, struct.error, …
        raise DrawingError(f"{name} cannot be read as a picture: save it as PNG or JPEG and try again.") from None
    if picture.format == "WEBP" and width * height > MAX_WEBP_PIXELS:
        # its decoder has neither strips nor a reduced size, and holds four copies
        raise DrawingError(
            f"{name} is {width} × {height} px, over the {MAX_WEBP_PIXELS // 10**6} megapixels that a WebP file may "
            f"have: save it as JPEG or PNG, which may have {MAX_PIXELS // 10**6}, or shrink it, and try again."
        )
    if width * height > MAX_PIXELS:
        raise DrawingError(f"{name} is {width} × {height} px, {limit}: shrink or crop it and try again.")
    try:
        if picture.format == "JPEG" and width * height > DRAFT_PIXELS:
            share = DRAFT_SIDE / max(width, height)
            picture.draft(None, (math.ceil(width * share), math.ceil(height * share)))
        with _large if picture.width * picture.height > LARGE_PIXELS else contextlib.nullcontext():
            picture.load()
            pixels = _shrunk(picture)
        with contextlib.suppress(Exception):  # a damaged EXIF block does not make the picture unreadable
            turn = UPRIGHT.get(picture.getexif().get(0x0112, 1))
            pixels = pixels if turn is None else np.array(Image.fromarray(pixels).transpose(turn))
        return pixels
    except Exception:
        raise DrawingError(f"{name} is damaged or cut short: save or upload it again.") from None


def _shrunk(picture: Image.Image) -> np.ndarray:
    """Any Pillow mode → `as_uint8` of at most DECODED_SIDE px a side, converted and reduced BAND rows at a time."""
    width, height = picture.size
    if max(width, height) <= DECODED_SIDE:
        return as_uint8(picture)
    factor = max(width, height) // DECODED_SIDE
    levels, step = _levels(picture), factor * max(1, BAND // factor)
    bands = []
    for top in range(0, height, step):
        band = picture.crop((0, top, width, min(top + step, height)))
        bands.append(np.asarray(Image.fromarray(_with_levels(band, levels)).reduce(factor)))
    whole = Image.fromarray(np.concatenate(bands))
    size = size_within(whole.size, DECODED_SIDE, DECODED_SIDE)
    return np.array(whole.resize(size, Image.Resampling.BOX) if max(whole.size) > DECODED_SIDE else whole)


def _read_bytes(path: Path, name: str) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DrawingError(_too_large(name, size))
        return path.read_bytes()
    except FileNotFoundError:
        raise DrawingError(f"{name} does not exist at {path}: check the path.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DrawingError(f"{name} cannot be opened ({reason}): check the path and its permissions.") from None


def _too_large(name: str, size: int) -> str:
    return f"{name} has {size / 1024**2:.1f} MB, over the limit of {MAX_BYTES // 1024**2} MB: shrink it and try again."


def as_uint8(picture: Image.Image) -> np.ndarray:
    """Any Pillow mode → (H, W) grey, (H, W, 3) or (H, W, 4) uint8.

    Deeper pictures that fill a part of their range, and masks of 0 and 1, are stretched.
    """
    return _with_levels(picture, _levels(picture))


def _levels(picture: Image.Image) -> tuple[float, float] | None:
    """The values of black and white, for modes of more than 8 bits and for masks of 0 and 1; None: as they are."""
    if picture.mode in ("L", "RGB") and "transparency" not in picture.info:
        extremes = np.array(picture.getextrema())
        return (0, 1) if extremes.max() == 1 else None
    if not picture.mode.startswith(("I", "F")):
        return None
    low, high = math.inf, -math.inf
    for top in range(0, picture.height, BAND):
        values = np.nan_to_num(np.asarray(picture.crop((0, top, picture.width, min(top + BAND, picture.height)))))
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    if picture.mode.startswith("I;16") or (picture.mode == "I" and low >= 0 and 255 < high <= 65535):
        # 10, 12 and 14 bits are stored in 16; scans and X-rays fill a part even of these
        white = next(2.0**bits for bits in (8, 10, 12, 14, 16) if high < 2**bits)
        return (low, high + 1) if 8 <= high - low < white / 4 else (0, white)
    return low, max(high, low + 1e-12)  # 32-bit files have no agreed white point


def _with_levels(picture: Image.Image, levels: tuple[float, float] | None) -> np.ndarray:
    if levels is not None:
        low, high = levels
        values = np.nan_to_num(np.asarray(picture).astype(np.float64))
        scale = 256 if picture.mode.startswith("I") and high > low + 1 else 255
        return np.clip(scale * (values - low) / (high - low), 0, 255).astype(np.uint8)
    if "transparency" in picture.info or picture.mode in ("LA", "La", "PA", "RGBa"):
        picture = picture.convert("RGBA")
    elif picture.mode == "1":
        picture = picture.convert("L")
    elif picture.mode not in ("L", "RGB", "RGBA"):
        picture = picture.convert("RGB")
    return np.array(picture)


def flatten_alpha(picture: Image.Image) -> Image.Image:
    """Any mode → L or RGB; transparent parts become white."""
    flat = picture if picture.mode in ("L", "RGB") else Image.fromarray(as_uint8(picture))
    if flat.mode == "RGBA":
        flat = Image.alpha_composite(Image.new("RGBA", flat.size, "white"), flat).convert("RGB")
    return flat


def fit_image(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8 → `height` × `width` px: the whole picture in its proportions, then padded.

    The padding has the median colour of the picture's border.
    """
    picture = Image.fromarray(pixels)
    picture = picture.resize(size_within(picture.size, width, height), Image.Resampling.LANCZOS, reducing_gap=3)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    colour = np.median(border, axis=0).astype(int)
    return np.array(
        ImageOps.pad(picture, (width, height), color=tuple(colour.tolist()) if colour.ndim else int(colour))
    )


def size_within(size: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """The largest (width, height) in the proportions of `size` within `width` × `height`; at least 1 px a side."""
    scale = min(width / size[0], height / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
