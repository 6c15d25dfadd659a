"""The map on Results: by address, with a selection, with a drawing."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from matplotlib.path import Path as Polygon
from streamlit.testing.v1 import AppTest

from mnist_core.data.dataset import Dataset
from mnist_core.data.loading import load_dataset
from mnist_core.errors import DataError
from mnist_core.explain.neighbours import features
from mnist_core.explain.projection import METHODS, PCA
from mnist_core.figures.lasso import encode_lasso
from mnist_core.inference.metrics import Evaluation
from mnist_core.models.checkpoint import load_checkpoint
from mnist_core.runs.run import Run
from tests.helpers.evaluations import evaluated
from tests.helpers.pages import finished_run, visit, words


@pytest.fixture(autouse=True)
def _no_mnist(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path / "data"))


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


def results(run: Run, **place: str) -> AppTest:
    """Results as a link leads there."""
    return visit("pages/results.py", model=run.id, **{f"results-{name}": value for name, value in place.items()})


def told(run: Run, digits: Dataset) -> tuple[np.ndarray, Evaluation]:
    """The last features, by torch, and the answers to the test images."""
    checkpoint = load_checkpoint(run.checkpoint())
    return features(checkpoint.model, digits.test_images), evaluated(checkpoint, digits)


def charts(app: AppTest, suffix: str) -> list[dict]:
    sent = (json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json)
    return [data for data in sent if str(data.get("key", "")).endswith(suffix)]


def numbers(packed: object) -> np.ndarray:
    if isinstance(packed, dict):
        return np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])
    return np.array(packed, float)


def places(app: AppTest) -> dict[int, tuple[float, float]]:
    """Row → where the map shows it."""
    (chart,) = charts(app, "-points")
    found = {}
    for trace in json.loads(chart["figure"])["data"]:
        if "customdata" in trace:
            rows = numbers(trace["customdata"]).reshape(-1, 2)[:, 0].astype(int)
            found |= dict(zip(rows.tolist(), zip(numbers(trace["x"]), numbers(trace["y"]), strict=True), strict=True))
    return found


def shown(app: AppTest) -> list[int]:
    """The rows of the images beside the matrix."""
    return [int(link.label.split(":")[0]) for link in app.get("page_link") if link.label.endswith("why?")]


def test_a_map_is_drawn_when_asked(digits):
    app = results(finished_run())
    assert not charts(app, "-points")
    assert "PCA takes a moment" in words(app)
    (method,) = [group for group in app.button_group if group.label == "Method"]
    method.set_value("pca").run()
    assert len(places(app)) == len(digits.test_labels)


@pytest.mark.parametrize("method", METHODS)
def test_the_map_shows_each_test_image_at_its_place(digits, method):
    run = finished_run()
    app = results(run, map=method)
    assert not app.exception
    assert not app.error
    given, result = told(run, digits)
    found = places(app)
    assert sorted(found) == list(range(len(digits.test_labels)))
    if method == "pca":
        expected = PCA(given)
        np.testing.assert_allclose([found[row] for row in sorted(found)], expected.points, atol=1e-2)
        assert f"{expected.explained.sum():.0%} of all variation" in words(app)
    (chart,) = charts(app, "-points")
    assert f"{len(result.mistakes())} crosses are mistakes" in chart["alt"]
    assert chart["images"].startswith("lab/images/")
    assert app.query_params["map"] == method


def test_a_lasso_selects_in_map_matrix_and_images(digits):
    run = finished_run()
    given, result = told(run, digits)
    points = PCA(given).points
    middle, size = np.median(points, axis=0), np.ptp(points, axis=0) / 5
    corners = middle + size * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    app = results(run, map="pca", selected=f"pca.{encode_lasso(corners.tolist(), points)}")
    assert not app.exception
    inside = np.flatnonzero(Polygon(corners).contains_points(points))
    assert 20 < len(inside) < len(points) / 2
    said, again = [text.value for text in app.markdown if "within the lasso" in text.value]
    assert said == again  # beside the matrix and under the map
    count = int(said.split(" ")[0].strip("*"))
    assert abs(count - len(inside)) <= 2  # at the edge, by the rounding of the corners
    wrong = [row for row in result.mistakes() if row in inside]
    assert shown(app)[: min(len(wrong), 5)] == wrong[:5]
    figure = json.loads(charts(app, "-matrix")[0]["figure"])
    cells = {(int(frame["y0"] + 0.5), int(frame["x0"] + 0.5)) for frame in figure["layout"]["shapes"]}
    kinds = set(zip(result.labels[inside].tolist(), result.predicted[inside].tolist(), strict=True))
    assert len(cells ^ kinds) <= 2
    traces = json.loads(charts(app, "-points")[0]["figure"])["data"]
    assert sum(len(numbers(trace["selectedpoints"])) for trace in traces if "selectedpoints" in trace) == count


def test_one_image_is_selected_by_its_number(digits):
    run = finished_run()
    app = results(run, map="pca", selected="row.17")
    _, result = told(run, digits)
    assert f"**Test image 17**: {result.labels[17]} read as {result.predicted[17]}" in words(app)
    assert shown(app)[0] == 17
    (field,) = app.number_input
    assert field.value == 17
    field.set_value(33).run()
    assert "**Test image 33**" in words(app)
    assert app.query_params["selected"] == "row.33"
    (back,) = [button for button in app.button if button.label.startswith("Back to")]
    back.click().run()
    assert "selected" not in app.query_params
    assert "**Test image" not in words(app)


def test_a_cell_that_is_chosen_replaces_the_selection(digits):
    app = results(finished_run(), map="pca", selected="row.17")
    (true,) = [box for box in app.selectbox if box.label == "True"]
    true.set_value(3).run()
    assert "selected" not in app.query_params
    assert app.query_params["true"] == "3"
    traces = json.loads(charts(app, "-points")[0]["figure"])["data"]
    assert any("selectedpoints" in trace for trace in traces)


@pytest.mark.parametrize("selected", ["pca.", "pca.abc", "row.99999", "row.-1", "x.y", "t-sne", "row.²", "🙂" * 200])
def test_a_selection_that_makes_no_sense_is_the_cell(selected):
    app = results(finished_run(), map="pca", selected=selected, true="2", predicted="2")
    assert not app.exception
    assert not app.error
    assert "× 2 read as 2" in words(app)


def test_a_drawing_is_a_star_on_the_map(digits):
    run = finished_run()
    app = results(run, map="pca")
    assert "★" not in words(app)
    pixels = np.zeros((560, 560), np.uint8)
    pixels[120:420, 260:300] = 255
    app.session_state["drawing"] = {"version": 0, "start": {"objects": []}, "now": [{}], "pictures": {1: pixels}}
    app.run()
    assert not app.exception
    assert "★ Your drawing: read as " in words(app)
    names = [trace.get("name") for trace in json.loads(charts(app, "-points")[0]["figure"])["data"]]
    assert "Your drawing" in names


@pytest.mark.parametrize("place", [{"map": "t-sne"}, {"map": "pca", "selected": "t-sne.m4j4m3ilm0i3"}])
def test_a_map_that_cannot_be_drawn_is_one_sentence(place, monkeypatch):
    from ui import maps

    def fail(*_arguments: object) -> None:
        raise DataError("The network's last features are not all numbers.")

    monkeypatch.setattr(maps, "project", fail)
    maps.st.cache_resource.clear()
    app = results(finished_run(), **place)
    assert not app.exception
    assert {error.value for error in app.error} == {"The network's last features are not all numbers."}
    assert charts(app, "-matrix")
    assert shown(app)
    assert not charts(app, "-points")
    maps.st.cache_resource.clear()
