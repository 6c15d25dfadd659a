"""Files of pictures and their classes: which folder is a class, which a part, and what lies beside them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mnist_core.data.archive import Listing, Member, printable
from mnist_core.drawing.images import SUFFIXES
from mnist_core.errors import DataError

# folder → whether its images are test images; those of a validation folder become training images, as every training
# holds out its own validation part
PART_FOLDERS = {"train": False, "training": False, "val": False, "valid": False, "validation": False}
PART_FOLDERS |= {"test": True, "testing": True}
PART_FOLDERS |= {"trainset": False, "trainingset": False, "testset": True, "testingset": True}
_MAGIC = re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8|BM|RIFF....WEBP|II\*\0|MM\0\*", re.DOTALL)
_LABELS = re.compile(r"([^_\-]{1,60})[_\-].+\.\w+")  # 7_12.png
_BESIDE = ("labels.txt", "classes.txt")


@dataclass(frozen=True)
class Options:
    """What a dataset's name says behind `#`: the encoding of names in a .zip, whether classes are in the names of the
    files rather than in folders, and whether unreadable pictures are left out."""

    encoding: str = ""
    labels_in_names: bool = False
    skip_unreadable: bool = False


@dataclass(frozen=True)
class Sample:
    """A picture's file, the name of its class, and whether it is a test image (None: no part is named)."""

    member: Member
    label: str
    test: bool | None


def split_options(text: str) -> tuple[str, Options]:
    """`PATH#labels=names&unreadable=skip&encoding=gbk` → PATH and its options. Raises DataError for an unknown one."""
    path, mark, behind = text.rpartition("#")
    if not mark or not re.fullmatch(r"\w+=[\w-]*(&\w+=[\w-]*)*", behind):
        return text, Options()
    options = Options()
    for pair in behind.split("&"):
        key, _, value = pair.partition("=")
        if key == "encoding":
            options = replace(options, encoding=value.lower())
        elif (key, value) in (("labels", "names"), ("labels", "folders")):
            options = replace(options, labels_in_names=value == "names")
        elif (key, value) in (("unreadable", "skip"), ("unreadable", "refuse")):
            options = replace(options, skip_unreadable=value == "skip")
        else:
            raise DataError(
                f"'{pair[:60]}' is no option of a folder of pictures: there are labels=names, unreadable=skip and "
                "encoding=NAME, joined with & behind one #."
            )
    return path, options


def find_samples(path: Path, listing: Listing, options: Options) -> tuple[list[Sample], str]:
    """Each picture with its class and part, and a sentence about what was left out, or empty.

    Folders around all others are passed over at any depth. Names of classes are in Unicode's form NFC; those of a train
    and a test folder that differ in case or form only are one class.

    Raises DataError when there is no picture, one is misplaced, or a class folder is empty or has other files.
    """
    pictures = [(member.parts, member) for member in listing if _is_picture(member)]
    if not pictures:
        raise DataError(f"There are no pictures in {path}: they lie in train/CLASS/ and test/CLASS/, or in CLASS/.")
    depth = 1 if options.labels_in_names else 2  # names from a part's folder to a picture
    start = _wrappers([parts for parts, _ in pictures], depth)
    parted = bool(_tops(pictures, start) & set(PART_FOLDERS))
    groups: dict[str, list[tuple[tuple[str, ...], Member]]] = {}
    for parts, member in pictures:
        inner = parts[start:]
        top = inner[0] if parted and len(inner) > 1 else ""
        inner = inner[bool(top) :]
        while top and len(inner) > 1 and _plain(inner[0]) == _plain(top):  # trainingSet/trainingSet/7/1.png
            inner = inner[1:]
        groups.setdefault(top, []).append((inner, member))
    left_out = _unlabelled(groups) if parted and not options.labels_in_names else []
    samples = []
    for top, group in groups.items():
        if top in left_out:
            continue
        test = PART_FOLDERS.get(_plain(top))
        if parted and test is None:
            raise DataError(_misplaced(path, [member for _, member in group]))
        skip = _wrappers([inner for inner, _ in group], depth) if top else 0
        wrong = [member for inner, member in group if len(inner) - skip != depth]
        if wrong:
            raise DataError(_misplaced(path, wrong))
        samples += [Sample(m, _label(path, inner[skip:], options), test if parted else None) for inner, m in group]
    samples = _unified(path, samples, 0 if options.labels_in_names else 1)
    if not options.labels_in_names:
        _require_pure(path, listing, {sample.member.parts[:-1] for sample in samples})
        _require_filled(path, listing, samples)
    said = [f"{printable(top)} has {_counted(len(groups[top]))} in no class folder, left out." for top in left_out]
    return samples, " ".join(filter(None, (listing.warning, *said)))


def _counted(pictures: int) -> str:
    return "1 picture" if pictures == 1 else f"{pictures:,} pictures"


def _is_picture(member: Member) -> bool:
    """By its ending, or by its first bytes where the ending is no usual one (.jfif, none)."""
    name = member.parts[-1].lower()
    if name.endswith(SUFFIXES):
        return True
    unusual = "." not in name or name.endswith((".jfif", ".jpe", ".jif", ".dib"))
    return unusual and member.size > 8 and bool(_MAGIC.match(member.read()[:12]))


def _wrappers(names: Sequence[tuple[str, ...]], depth: int) -> int:
    """How many folders lie around all pictures without being a part or a class."""
    start = 0
    while True:
        tops = {parts[start] if len(parts) > start + 1 else "" for parts in names}
        deep = any(len(parts) > start + depth for parts in names)
        if len(tops) != 1 or not deep or _plain(next(iter(tops))) in ("", *PART_FOLDERS):
            return start
        start += 1


def _tops(pictures: Sequence[tuple[tuple[str, ...], Member]], start: int) -> set[str]:
    return {_plain(parts[start]) for parts, _ in pictures if len(parts) > start + 1}


def _plain(name: str) -> str:
    """`Training_Set` and `trainingSet` are `trainingset`."""
    return re.sub(r"[\s_\-]", "", name.casefold())


def _unlabelled(groups: dict[str, list[tuple[tuple[str, ...], Member]]]) -> list[str]:
    """The folders beside one with classes whose pictures all lie directly in them."""
    flat = [top for top, group in groups.items() if top and all(len(inner) == 1 for inner, _ in group)]
    trained = any(PART_FOLDERS.get(_plain(top)) is False for top in groups if top not in flat)
    return flat if trained else []


def _label(path: Path, inner: tuple[str, ...], options: Options) -> str:
    label = inner[0]
    if options.labels_in_names:
        match = _LABELS.fullmatch(label)
        if not match:
            raise DataError(
                f"{printable(label)} in {path} does not begin with its class and a _ or -, as in 7_12.png: rename it."
            )
        label = match[1]
    label = label.strip()
    if not label or not label.isprintable() or len(label) > 60:
        raise DataError(f"{path} has a class folder whose name is over 60 characters or unreadable: rename it.")
    return label


def _unified(path: Path, samples: Sequence[Sample], folders: int) -> list[Sample]:
    """The samples with one name for each class: that of the training part."""
    names: dict[str, str] = {}
    seen: dict[tuple[tuple[str, ...], str], str] = {}
    for sample in sorted(samples, key=lambda sample: bool(sample.test)):
        key = unicodedata.normalize("NFC", sample.label).casefold()
        above = sample.member.parts[: -1 - folders]
        other = seen.setdefault((above, key), sample.label)
        if other != sample.label:
            raise DataError(
                f"'{other}' and '{sample.label}' in {path} differ in capital letters or their Unicode form only: "
                "rename one, or put their pictures together."
            )
        names.setdefault(key, unicodedata.normalize("NFC", sample.label))
    return [replace(s, label=names[unicodedata.normalize("NFC", s.label).casefold()]) for s in samples]


def _require_pure(path: Path, listing: Listing, folders: set[tuple[str, ...]]) -> None:
    for member in listing:
        if member.parts[:-1] in folders and not _is_picture(member) and member.parts[-1].lower() not in _BESIDE:
            raise DataError(
                f"{printable(member.name)} in {path} is no picture ({', '.join(SUFFIXES)}): "
                "take it out of the class folder."
            )


def _require_filled(path: Path, listing: Listing, samples: Sequence[Sample]) -> None:
    """A class folder without pictures is named, unless its class has some in another part, which is said elsewhere."""
    above = {sample.member.parts[:-2] for sample in samples}
    used = {sample.member.parts[:-1] for sample in samples}
    labels = {sample.label.casefold() for sample in samples}
    for folder in sorted(set(listing.folders) - used):
        below = any(parts[: len(folder)] == folder for parts in used)
        name = unicodedata.normalize("NFC", folder[-1])
        if folder[:-1] in above and not below and _plain(name) not in PART_FOLDERS and name.casefold() not in labels:
            if any(member.parts[: len(folder)] == folder and _is_picture(member) for member in listing):
                continue
            raise DataError(
                f"The class folder '{printable('/'.join(folder))}' in {path} has no picture: "
                "put some in, or take the folder out."
            )


def _misplaced(path: Path, members: Sequence[Member]) -> str:
    first = members[0]
    said = (
        f"{printable(first.name)} in {path} lies in no class folder: put pictures into train/CLASS/ and test/CLASS/, "
        "or into CLASS/ alone."
    )
    if len(members) > 1:
        said = said.replace(" lies in no", f" and {len(members) - 1:,} more lie in no", 1)
    starts = Counter(match[1] for member in members if (match := _LABELS.fullmatch(member.parts[-1])))
    if 1 < len(starts) <= 100 and sum(starts.values()) == len(members) and max(starts.values()) > 1:
        example = first.parts[-1]
        said += f" If {printable(example)} begins with its class, use `folder:{path}#labels=names`."
    return said


def unreadable(path: Path, problems: Sequence[tuple[Member, DataError]]) -> DataError:
    """One error that names all pictures which cannot be read, the first 20 of them by name."""
    if len(problems) == 1:
        return DataError(f"{problems[0][1]} Or leave it out with `folder:{path}#unreadable=skip`.")
    names = ", ".join(printable(member.name) for member, _ in problems[:20])
    more = f" and {len(problems) - 20:,} more" if len(problems) > 20 else ""
    return DataError(
        f"{len(problems):,} pictures in {path} cannot be read: {names}{more}. Save them again as PNG or JPEG, or leave "
        f"them out with `folder:{path}#unreadable=skip`."
    )
