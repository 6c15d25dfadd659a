"""Class names of a dataset and of a model, matched by name; other names only by a mapping that a person gives."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mnist_core.data.dataset import NO_CLASS, Dataset
from mnist_core.errors import DataError

SHOWN = 12  # names in a sentence
MAPPING = "the setting classes:"  # where a person maps names that differ, of a training
_WORDS = {  # zero to nine
    "English": "zero one two three four five six seven eight nine",
    "German": "null eins zwei drei vier fünf sechs sieben acht neun",
    "French": "zéro un deux trois quatre cinq six sept huit neuf",
    "Spanish": "cero uno dos tres cuatro cinco seis siete ocho nueve",
    "Portuguese": "zero um dois três quatro cinco seis sete oito nove",
    "Italian": "zero uno due tre quattro cinque sei sette otto nove",
    "Dutch": "nul een twee drie vier vijf zes zeven acht negen",
    "Polish": "zero jeden dwa trzy cztery pięć sześć siedem osiem dziewięć",
    "Turkish": "sıfır bir iki üç dört beş altı yedi sekiz dokuz",
    "Russian": "ноль один два три четыре пять шесть семь восемь девять",
    "Hindi": "शून्य एक दो तीन चार पांच छह सात आठ नौ",
}
NUMBER_WORDS = {
    unicodedata.normalize("NFC", word): number for words in _WORDS.values() for number, word in enumerate(words.split())
}


class ClassesError(DataError):
    """Class names that do not match. `mine` are the model's, `theirs` the dataset's; `suggestion` maps theirs to mine
    where all of them are numerals or number words, and is empty otherwise."""

    def __init__(self, message: str, mine: Sequence[str], theirs: Sequence[str], suggestion: dict[str, str]) -> None:
        super().__init__(message)
        self.mine, self.theirs, self.suggestion = tuple(mine), tuple(theirs), suggestion


def match_classes(
    mine: Sequence[str], theirs: Sequence[str], mapping: str = "", *, whose: str = "the dataset", how: str = "--classes"
) -> tuple[int, ...]:
    """For each of `theirs`, the index of the same class in `mine`.

    Names are the same in whatever Unicode form, and in whatever case where that is unambiguous; their order does not
    matter, and `theirs` may be fewer. `mapping` is "theirs=mine,…" for names that differ. `whose` and `how` say in the
    message whose names `theirs` are, and where a mapping is given.

    Raises ClassesError for names that are no class of `mine`, DataError for a mapping that is wrong.
    """
    if len(theirs) > len(mine):
        raise DataError(
            f"The classes are {listed(mine)}, and those of {whose} are more, {listed(theirs)}: choose another dataset "
            "or another model."
        )
    wanted = {}
    for name, target in parse_mapping(mapping).items():
        place = _find(name, theirs)
        if place is None:
            raise DataError(f"{whose.capitalize()} has no class '{name[:60]}' to map: it has {listed(theirs)}.")
        wanted[theirs[place]] = target
    found = [_find(wanted.get(name, name), mine) for name in theirs]
    for name, index in zip(theirs, found, strict=True):
        if index is None and name in wanted:
            raise DataError(
                f"There is no class '{wanted[name][:60]}' to map '{name[:60]}' to: there are {listed(mine)}."
            )
    if None in found:
        suggestion = suggest(mine, theirs)
        example = suggestion or dict.fromkeys(list(theirs)[:2], "…")
        pairs = ",".join(f"{name}={target}" for name, target in example.items())
        raise ClassesError(
            f"The classes are {listed(mine)}, and those of {whose} are {listed(theirs)}: "
            f"say which is which with {how} {pairs}{'' if suggestion else ',…'}.",
            mine,
            theirs,
            suggestion,
        )
    indices = tuple(index for index in found if index is not None)
    if len(set(indices)) < len(indices):
        twice = next(mine[index] for index in indices if indices.count(index) > 1)
        raise DataError(f"Two classes of {whose} are mapped to '{twice[:60]}': each is another one.")
    return indices


def relabel(data: Dataset, classes: Sequence[str], mapping: str = "") -> Dataset:
    """`data` with the `classes` of a model, in the model's order. Raises what `match_classes` raises."""
    if tuple(classes) == data.classes and not mapping:
        return data
    order = match_classes(classes, data.classes, mapping, whose=data.title)
    if data.earlier is not None:  # it has the same classes
        data = replace(data, earlier=relabel(data.earlier, classes, mapping))
    if order == tuple(range(len(classes))):
        return replace(data, classes=tuple(classes))
    places = np.array([*order, NO_CLASS])  # the last is that of NO_CLASS, -1
    return replace(
        data,
        classes=tuple(classes),
        train_labels=places[data.train_labels],
        test_labels=places[data.test_labels],
    )


def parse_mapping(text: str) -> dict[str, str]:
    """ "theirs=mine,…" → {theirs: mine}. Raises DataError."""
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        theirs, sign, mine = (piece.strip() for piece in part.partition("="))
        if not sign or not theirs or not mine:
            raise DataError(f"'{part[:60]}' is not THEIRS=MINE: class names are mapped as in zero=0,one=1.")
        if theirs in pairs:
            raise DataError(f"The class '{theirs[:60]}' is mapped twice.")
        pairs[theirs] = mine
    return pairs


def suggest(mine: Sequence[str], theirs: Sequence[str]) -> dict[str, str]:
    """{theirs: mine} where the names on both sides are different numbers, written in whatever way; else {}."""
    ours = {number_of(name): name for name in mine}
    numbers = [number_of(name) for name in theirs]
    if None in ours or len(ours) < len(mine) or len(set(numbers)) < len(numbers) or not set(numbers) <= set(ours):
        return {}
    return {name: ours[number] for name, number in zip(theirs, numbers, strict=True)}


def number_of(name: str) -> int | None:
    """The whole number that a name writes: 7, 07, seven, sieben, 七, ７, Ⅶ, ٧; None for any other name."""
    text = unicodedata.normalize("NFC", name).strip().casefold()
    if text in NUMBER_WORDS:
        return NUMBER_WORDS[text]
    try:
        return int(text)  # of any script's digits
    except ValueError:
        pass
    if len(text) == 1 and (value := unicodedata.numeric(text, 0.5)).is_integer():
        return int(value)
    return None


def listed(names: Sequence[str]) -> str:
    """The names apart by commas, the first SHOWN of them."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(name[:60] for name in names[:SHOWN]) + more


def _find(name: str, names: Sequence[str]) -> int | None:
    """The place of the one name that is the same; else of the one that differs in Unicode form or case only."""
    for form in (str, _composed, lambda text: _composed(text).casefold()):
        places = [place for place, other in enumerate(names) if form(other) == form(name)]
        if len(places) == 1:
            return places[0]
    return None


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
