"""EMNIST: handwritten digits and letters in six parts (Cohen, Afshar, Tapson and van Schaik, 2017).

Its files hold rows and columns exchanged, and characters of up to 24 px, where MNIST's have 20.
"""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase, digits

# letters of which the two cases look alike: they are one class, called by its capital
_MERGED = "CIJKLMOPSUVWXYZ"
_MERGED_CLASSES = (*digits, *ascii_uppercase, *(small for small in ascii_lowercase if small.upper() not in _MERGED))
# the names of the classes of each part, in the order of their labels
PARTS: dict[str, tuple[str, ...]] = {
    "balanced": _MERGED_CLASSES,
    "letters": tuple(ascii_lowercase),  # both cases of a letter are one class; their labels begin at 1
    "digits": tuple(digits),
    "byclass": (*digits, *ascii_uppercase, *ascii_lowercase),
    "bymerge": _MERGED_CLASSES,
    "mnist": tuple(digits),
}


def first_label(part: str) -> int:
    """The label of the first class of a part."""
    return 1 if part == "letters" else 0


def file_names(part: str) -> tuple[str, str, str, str]:
    """The IDX files of a part: training images and labels, test images and labels."""
    train, test = (
        (f"emnist-{part}-{which}-images-idx3-ubyte", f"emnist-{part}-{which}-labels-idx1-ubyte")
        for which in ("train", "test")
    )
    return (*train, *test)
