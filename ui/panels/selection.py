"""Which test images are selected on Results: one selection for the confusion matrix, the map and the images.

It is a cell of the matrix, the lasso on a map, or one image. The session keeps it as two classes and a text, which
stands in the address: `pca.` or `t-sne.` and a lasso, or `row.` and a number; empty for the cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import streamlit as st

from mnist_core.data.dataset import Dataset
from mnist_core.explain.projection import METHODS, Method
from mnist_core.figures.lasso import decode_lasso, encode_lasso, within
from mnist_core.inference.metrics import Evaluation
from mnist_core.runs.catalogue import Model
from ui import maps, page
from ui.widgets.place import number

MOST_CELLS = 6  # that are named


@dataclass(frozen=True, eq=False)
class Selection:
    """`rows` (M,) of the test images, those to show first first; the `cells` (true, predicted) that they are, the
    fullest first, and `title` in markdown. `outline` (K, 2) is a lasso on the map of `method`. `chosen` says whether a
    person has selected it, or it is what the page begins with.
    """

    rows: np.ndarray
    cells: Sequence[tuple[int, int]]
    title: str
    chosen: bool = True
    method: Method | None = None
    outline: np.ndarray | None = None


class Selecting:
    """The session's selection among a model's answers to a dataset; `key` begins all its entries."""

    def __init__(self, model: Model, data: Dataset, result: Evaluation, key: str) -> None:
        self.model, self.data, self.result, self.key = model, data, result, key
        self._state = st.session_state
        wrong = result.confusion - np.diag(np.diag(result.confusion))
        worst = [int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape)]
        asked = {name: self._state.pop(f"results-{name}", None) for name in ("true", "predicted", "selected")}
        for name, value in zip(("true", "predicted"), worst, strict=True):
            if asked[name] is not None:
                self._state[f"{key}-{name}"] = asked[name]
            number(f"{key}-{name}", len(data.classes), value)
        if any(value is not None for value in asked.values()):  # by the address
            self._state[f"{key}-picked"] = asked["selected"] or ""
            self._state[f"{key}-chosen"] = list(self.cell) != worst

    @property
    def cell(self) -> tuple[int, int]:
        """The true and the predicted class that are chosen."""
        return int(self._state[f"{self.key}-true"]), int(self._state[f"{self.key}-predicted"])

    @property
    def picked(self) -> str:
        """A lasso or an image, as in the address; empty where the cell is selected."""
        return str(self._state.get(f"{self.key}-picked", ""))

    @property
    def row(self) -> int | None:
        """The one image that is selected."""
        kind, _, text = self.picked.partition(".")
        found = kind == "row" and text.isdecimal() and len(text) < 10 and int(text) < len(self.result.labels)
        return int(text) if found else None

    def select(self, picked: str = "", chosen: bool = True) -> None:
        """Selects a lasso or an image, or the cell again."""
        self._state[f"{self.key}-picked"], self._state[f"{self.key}-chosen"] = picked, chosen

    def select_cell(self, said: dict[str, Any]) -> None:
        """What the matrix says of a click."""
        true, predicted = (int(value) for value in said.get("point", self.cell))
        self._state[f"{self.key}-true"], self._state[f"{self.key}-predicted"] = true, predicted
        self.select()

    def select_on_map(self, method: Method, said: dict[str, Any]) -> None:
        """What the map of that method says of a click or a lasso; {} clears the selection."""
        if "point" in said:
            self.select(f"row.{int(said['point'][0])}")
        elif "lasso" in said:
            points = maps.projection(self.model, self.data, method).points
            self.select(f"{method}.{encode_lasso(said['lasso'], points)}")
        else:
            self.select(chosen=False)

    def selection(self) -> Selection:
        """What is selected. Raises CheckpointError and DataError where the map of a lasso cannot be drawn."""
        method = cast(Method, self.picked.partition(".")[0])
        if self.row is not None:
            kind = int(self.result.labels[self.row]), int(self.result.predicted[self.row])
            return Selection(np.array([self.row]), [kind], f"**Test image {self.row}**: {self.name(kind)}")
        if method in METHODS and (found := self._within_lasso(method)):
            return found
        rows = self.result.cell(*self.cell)
        chosen = bool(self._state.get(f"{self.key}-chosen"))
        return Selection(rows, [self.cell], f"**{len(rows):,} × {self.name(self.cell)}**", chosen)

    def _within_lasso(self, method: Method) -> Selection | None:
        points = maps.projection(self.model, self.data, method).points
        outline = decode_lasso(self.picked.partition(".")[2], points)
        if outline is None:
            return None
        result, rows = self.result, maps.mapped_rows(len(self.result.labels))[within(points, outline)]
        right, confidence = result.right[rows], result.confidence[rows]
        # mistakes first, the most confident ones; then what was right, the least sure
        rows = rows[np.lexsort((np.where(right, confidence, -confidence), right))]
        kinds = Counter(zip(result.labels[rows].tolist(), result.predicted[rows].tolist(), strict=True)).most_common()
        said = [f"{count:,} × {self.name(kind)}" for kind, count in kinds[:MOST_CELLS]]
        if len(kinds) > MOST_CELLS:
            rest = sum(count for _, count in kinds[MOST_CELLS:])
            said.append(f"and {rest:,} more in the other framed cells")
        title = f"**{len(rows):,} within the lasso on {METHODS[method]}**"
        title += f": {', '.join(said)}" if said else ""
        return Selection(rows, [kind for kind, _ in kinds], title, True, method, outline)

    def name(self, cell: tuple[int, int]) -> str:
        """A cell in words, for markdown."""
        true, predicted = (page.escape_markdown(self.data.classes[index]) for index in cell)
        return f"{true} read as {predicted}"
