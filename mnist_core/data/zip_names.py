"""Names in a .zip that does not say their encoding: UTF-8 where they are, else the likeliest of a few encodings."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence

from mnist_core.errors import DataError

# in the order in which equals are preferred
ENCODINGS = ("utf-8", "gbk", "shift_jis", "big5", "cp1252", "cp437")
# first bytes of the two-byte characters in common use: level 1 of GB 2312, kana and level 1 of JIS X 0208, of Big5
_COMMON = {
    "gbk": range(0xB0, 0xD8),
    "shift_jis": (0x82, 0x83, *range(0x88, 0x98)),
    "big5": range(0xA4, 0xC7),
}
_SAYS_UTF8 = 0x800


def decoded_names(infos: Sequence[zipfile.ZipInfo], encoding: str = "") -> tuple[list[str], str]:
    """The name of each entry, and the encoding where it was guessed (else empty). `encoding` replaces the guess.

    Names that all decode as UTF-8 are UTF-8. Otherwise the encoding is chosen in which the largest share of the
    characters is in common use; letters of cp1252 and cp437 count where they stand beside ASCII letters.

    Raises DataError when `encoding` is unknown or does not fit the names.
    """
    unsaid = [info.filename for info in infos if not info.flag_bits & _SAYS_UTF8 and not info.filename.isascii()]
    if encoding and encoding not in ENCODINGS:
        raise DataError(
            f"'{encoding[:40]}' is no encoding of names that is read: choose one of {', '.join(ENCODINGS)}."
        )
    if not unsaid:
        return [info.filename for info in infos], ""
    raws = [name.encode("cp437") for name in unsaid]  # as zipfile has decoded them
    chosen = encoding or max(ENCODINGS, key=lambda name: _share_in_use(raws, name))
    try:
        known = {name: raw.decode(chosen) for name, raw in zip(unsaid, raws, strict=True)}
    except UnicodeDecodeError:
        others = ", ".join(name for name in ENCODINGS if name != chosen)
        raise DataError(f"The names in the .zip are not in the encoding {chosen}: choose another ({others}).") from None
    names = [
        info.filename if info.flag_bits & _SAYS_UTF8 else known.get(info.filename, info.filename) for info in infos
    ]
    return names, "" if encoding or chosen == "utf-8" else chosen


def _share_in_use(raws: Sequence[bytes], encoding: str) -> float:
    """In [0, 1] how much of the names is in common use; 2 for UTF-8, and -1 where they cannot be decoded."""
    try:
        texts = [raw.decode(encoding) for raw in raws]
    except UnicodeDecodeError:
        return -1.0
    if encoding == "utf-8":
        return 2.0
    total = common = 0
    for text in texts:
        for place, character in enumerate(text):
            if character.isascii():
                continue
            total += 1
            if encoding in _COMMON:
                raw = character.encode(encoding)
                common += len(raw) == 2 and raw[0] in _COMMON[encoding]
            else:
                beside = text[max(place - 1, 0) : place] + text[place + 1 : place + 2]
                common += character.isalpha() and any(other.isascii() and other.isalpha() for other in beside)
    return common / total if total else 0.0
