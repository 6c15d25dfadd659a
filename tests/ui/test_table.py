"""The HTML table: values as they are to be read, and text that is not ours as text."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests.helpers.pages import html_table

NASTY = '<script>alert("&")</script>'


def script() -> None:
    from ui.widgets.table import Column, show_table

    rows = [
        {"model": '<script>alert("&")</script>', "share": 12.345, "images": 10_000},
        {"model": "b", "share": None, "images": 3},
    ]
    show_table(rows, {"share": Column("{:.1f} %", 'Of "all" & more'), "images": Column("{:,}")}, "Models")


def test_values_are_formatted_and_text_stays_text():
    app = AppTest.from_function(script).run()
    assert not app.exception
    assert html_table(app) == [
        {"model": NASTY, "share": "12.3 %", "images": "10,000"},
        {"model": "b", "share": "–", "images": "3"},
    ]


def test_headings_explain_and_numbers_stand_right():
    (shown,) = AppTest.from_function(script).run().get("html")
    html = shown.proto.body
    assert '<th scope="col" class="number" title="Of &quot;all&quot; &amp; more">share</th>' in html
    assert '<td class="number">12.3 %</td>' in html
    assert "<td>–</td>" in html
    assert 'tabindex="0" aria-label="Models"' in html  # a wide one is scrolled by keyboard
