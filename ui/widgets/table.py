"""A small table as HTML: it is there with the page, without pandas and the script of Streamlit's own tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import streamlit as st

ABSENT = "–"
STYLE = """<style>
.lab-table { overflow-x: auto; border: 1px solid rgba(128, 128, 128, 0.3); border-radius: 0.5rem; }
.lab-table table { border-collapse: collapse; font-size: 0.875rem; width: 100%; margin: 0; white-space: nowrap; }
.lab-table :is(th, td) { padding: 0.375rem 0.625rem; border: 0; text-align: left; }
.lab-table tr + tr > *, .lab-table tbody > tr > * { border-top: 1px solid rgba(128, 128, 128, 0.2); }
.lab-table thead th { font-weight: 400; opacity: 0.75; }
.lab-table thead th[title] { cursor: help; text-decoration: underline dotted; text-underline-offset: 0.2em; }
.lab-table tbody th { font-weight: 600; }
.lab-table .number { text-align: right; font-variant-numeric: tabular-nums; }
</style>"""


@dataclass(frozen=True)
class Column:
    """How a column's values are written, such as "{:.2f} %", and what its heading means."""

    form: str = "{}"
    explanation: str = ""


def show_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Column], caption: str) -> None:
    """Rows with the same keys; the first column names the row. None is shown as a dash.

    `caption` is what a screen reader calls the table.
    """
    head = "".join(_heading(name, columns.get(name, Column()), _is_number(rows, name)) for name in rows[0])
    body = "".join(f"<tr>{_cells(row, columns)}</tr>" for row in rows)
    st.html(
        f'{STYLE}<div class="lab-table" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _is_number(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    return any(isinstance(row[name], int | float) for row in rows)


def _heading(name: str, column: Column, number: bool) -> str:
    title = f' title="{escape(column.explanation)}"' if column.explanation else ""
    return f'<th scope="col"{_class(number)}{title}>{escape(name)}</th>'


def _cells(row: Mapping[str, Any], columns: Mapping[str, Column]) -> str:
    cells = []
    for place, (name, value) in enumerate(row.items()):
        text = ABSENT if value is None else columns.get(name, Column()).form.format(value)
        start, end = ('<th scope="row"', "th") if place == 0 else ("<td", "td")
        cells.append(f"{start}{_class(isinstance(value, int | float))}>{escape(text)}</{end}>")
    return "".join(cells)


def _class(number: bool) -> str:
    return ' class="number"' if number else ""
