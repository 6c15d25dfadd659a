"""Figures of a search against what is computed by hand."""

import math

import numpy as np
import pytest

from mnist_core.figures.search import (
    SHADES,
    Axis,
    Point,
    best_so_far_figure,
    contour_figure,
    importance_figure,
    parallel_figure,
    slice_figure,
)

RATE, NORM = Axis("learning_rate", log=True), Axis("batch_norm", choices=(True, False))
POINTS = [
    Point(0, 0.90, False, {"learning_rate": 0.001, "batch_norm": True}),
    Point(1, 0.95, True, {"learning_rate": 0.01, "batch_norm": False}),
    Point(2, 0.80, False, {"learning_rate": 0.1, "batch_norm": True}),
    Point(4, 0.97, False, {"learning_rate": 0.003, "batch_norm": False}),
]


def test_the_best_so_far_never_falls_and_ignores_pruned_trials():
    line, finished, pruned = best_so_far_figure(POINTS)["data"]
    assert line["x"] == [0, 1, 2, 4]
    assert line["y"] == [0.90, 0.90, 0.90, 0.97]
    assert (finished["x"], pruned["x"]) == ([0, 2, 4], [1])
    assert pruned["y"] == [0.95]
    assert best_so_far_figure(POINTS[1:2])["data"][0]["y"] == [None]


def test_axes_place_values_and_write_them():
    assert RATE.place(0.001) == pytest.approx(-3)
    assert NORM.place(False) == 1.0
    places, texts = RATE.ticks(POINTS)
    assert places[0] == pytest.approx(-3)
    assert texts[0] == "0.001"
    assert texts[-1] == "0.1"
    assert NORM.ticks(POINTS) == ([0.0, 1.0], ["on", "off"])


def test_parallel_lines_pass_through_each_trials_settings():
    figure = parallel_figure(POINTS, [RATE, NORM])
    drawn = []
    for trace in figure["data"]:
        rows = np.array(trace["y"], dtype=float).reshape(-1, 4)
        drawn += [(trace["line"]["color"], *np.round(row[:3], 4)) for row in rows]
    expected = {
        (
            (math.log10(p.settings["learning_rate"]) + 3) / 2,
            NORM.place(p.settings["batch_norm"]),
            (p.value - 0.8) / 0.17,
        )
        for p in POINTS
    }
    assert {row[1:] for row in drawn} == {tuple(np.round(row, 4)) for row in expected}
    assert [row[0] for row in drawn if row[3] == 1.0] == [SHADES[-1]]
    assert figure["layout"]["xaxis"]["ticktext"] == ["learning rate", "batch norm", "validation"]
    alone = parallel_figure(POINTS[:1], [RATE, NORM])
    assert [y for trace in alone["data"] for y in trace["y"]] == [0.5, 0.0, 0.5, None]


def test_a_contour_passes_near_its_trials():
    surface, marks = contour_figure(POINTS, RATE, NORM)["data"]
    z = np.asarray(surface["z"])
    assert z.shape == (40, 40)
    assert z.min() >= 0.80
    assert z.max() <= 0.97
    column = np.abs(surface["x"] - RATE.place(0.1)).argmin()
    row = np.abs(surface["y"] - NORM.place(True)).argmin()
    assert z[row, column] == pytest.approx(0.80, abs=0.01)
    assert list(marks["y"]) == [0.0, 1.0, 0.0, 1.0]


def test_slices_and_importance_show_each_setting():
    finished, pruned = slice_figure(POINTS, NORM)["data"]
    assert finished["x"] == [0.0, 0.0, 1.0]
    assert pruned["x"] == [1.0]
    bar = importance_figure({"learning_rate": 0.7, "dropout": 0.3})["data"][0]
    assert (bar["y"], bar["x"]) == (["dropout", "learning rate"], [0.3, 0.7])
