"""Image files of any format and mode: checked before they are decoded, and fitted to a model's input size."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mnist_core.errors import DrawingError

MAX_BYTES = 5 * 1024**2
MAX_SIDE = 4096  # px
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")  # Pillow's others can start programs (EPS) or are rare


def read_picture(source: bytes | str | Path) -> np.ndarray:
    """A file's bytes or its path → (H, W) or (H, W, 3 or 4) uint8, upright, first frame.

    Raises DrawingError when the file is missing, empty, no picture, damaged, over 5 MB or over 4096 px a side. The
    size is read from the header, before anything is decoded.
    """
    name = "The picture" if isinstance(source, bytes) else f"The picture {Path(source).name}"
    data = source if isinstance(source, bytes) else _read_bytes(Path(source), name)
    if not data:
        raise DrawingError(f"{name} is empty (0 bytes): choose another file.")
    if len(data) > MAX_BYTES:
        raise DrawingError(_too_large(name, len(data)))
    return decode_picture(data, name)


def decode_picture(data: bytes, name: str) -> np.ndarray:
    """A file's bytes → (H, W) or (H, W, 3 or 4) uint8, upright, first frame.

    Raises DrawingError, whose sentence begins with `name`.
    """
    try:
        picture: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = picture.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DrawingError(f"{name} is over {MAX_SIDE} px a side: shrink or crop it and try again.") from None
    except Exception:  # Pillow's parsers raise errors of many types: OSError, SyntaxError, struct.error, …
        raise DrawingError(f"{name} cannot be read as a picture: save it as PNG or JPEG and try again.") from None
    if max(width, height) > MAX_SIDE:
        size = f"{width} × {height} px, over {MAX_SIDE} px a side"
        raise DrawingError(f"{name} is {size}: shrink or crop it and try again.")
    try:
        picture.load()
        with contextlib.suppress(Exception):  # a damaged EXIF block does not make the picture unreadable
            picture = ImageOps.exif_transpose(picture)
        return as_uint8(picture)
    except Exception:
        raise DrawingError(f"{name} is damaged or cut short: save or upload it again.") from None


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
    """Any Pillow mode → (H, W) grey, (H, W, 3) or (H, W, 4) uint8."""
    if picture.mode.startswith("I;16"):
        return (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)
    if picture.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(picture, np.float64))
        low, high = values.min(), values.max()
        # 32-bit files have no agreed white point; many hold 16-bit values
        top = 65535 if picture.mode == "I" and low >= 0 and 255 < high <= 65535 else max(high - low, 1e-12)
        return (255 * (values - (0 if top == 65535 else low)) / top).astype(np.uint8)
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
