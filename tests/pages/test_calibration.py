"""What the pages say of doubt, of calibration and of the shipped models' figures, through AppTest."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from mnist_core.data.loading import load_dataset
from mnist_core.inference.metrics import summarize
from mnist_core.inference.predictor import Predictor
from mnist_core.models.card import About, Figure, Measured
from mnist_core.models.checkpoint import SHIPPED, load_checkpoint, read_card, update_card
from mnist_core.models.classifier import infer
from tests.helpers.pages import answer, drawn_seven, finished_run, html_table, visit, words


@pytest.fixture(autouse=True)
def _no_mnist(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path / "data"))


def on_canvas(*parts: tuple[slice, slice]) -> dict:
    """What the canvas reports when these parts of it were inked."""
    pixels = np.zeros((280, 280, 4), np.uint8)
    pixels[..., 3] = 255
    for part in parts:
        pixels[part] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return {"drawing": {"raw": {"objects": [{"type": "path"}]}, "data": url}}


def drawn(what: dict):
    app = visit("pages/draw.py")
    app.session_state["canvas-0"] = what
    app.run()
    assert not app.exception
    return app


BAR = slice(60, 220)


@pytest.mark.parametrize(
    ("parts", "rejection", "headline", "advice"),
    [
        ([(slice(80, 200), slice(20, 110)), (BAR, slice(200, 230))], "several", "Several?", "one alone"),
        ([(slice(80, 200), slice(80, 200))], "filled", "Only its lines, please", "thinner brush"),
    ],
)
def test_shape_rejection_has_its_own_sentence(parts, rejection, headline, advice):
    shown = answer(drawn(on_canvas(*parts)))
    assert shown["answer"]["rejection"] == rejection
    said, _, tip = shown["rejections"][rejection]
    assert said == headline
    assert advice in tip


def test_a_doubtful_drawing_is_a_question_with_something_to_try():
    run = finished_run()
    update_card(run.checkpoint(), refuse_below=1.0)
    app = visit("pages/draw.py", model=run.id)
    app.session_state["canvas-0"] = drawn_seven()
    app.run()
    shown = answer(app)
    headline, why, advice = shown["rejections"][shown["answer"]["rejection"]]
    assert headline == "{}?"
    assert "99 in 100 real digits" in why
    assert "draw it larger" in advice


def test_results_show_calibration_error_and_rejections():
    run = finished_run()
    app = visit("pages/results.py", model=run.id)
    app.run()
    assert not app.exception
    metrics = {metric.label: metric for metric in app.metric}
    card, data = read_card(run.checkpoint()), load_dataset("digits")
    model = load_checkpoint(run.checkpoint()).model
    errors = []
    for temperature in (card.temperature, 1.0):
        model.temperature = temperature
        result = summarize(infer(model, data.test_images).numpy(), data.test_labels)
        place = np.digitize(result.confidence, np.arange(1, 15) / 15)
        right = result.predicted == result.labels
        gaps = [abs(right[place == b].sum() - result.confidence[place == b].sum()) for b in range(15)]
        errors.append(sum(gaps) / len(right))
        if temperature != 1.0:
            rejections = Predictor(run.checkpoint()).rejections(data.test_images, result.probabilities)
    assert metrics["Calibration error"].value == f"{errors[0]:.2%}"
    assert metrics["Calibration error"].delta == f"{errors[0] - errors[1]:+.2%}"
    assert metrics["Refused"].value == f"{sum(rejection is not None for rejection in rejections) / 360:.2%}"
    assert f"temperature of {card.temperature:.2f}" in words(app)


def test_a_model_without_a_temperature_says_so():
    run = finished_run()
    update_card(run.checkpoint(), temperature=1.0)
    app = visit("pages/results.py", model=run.id)
    app.run()
    assert not app.exception
    assert next(metric for metric in app.metric if metric.label == "Calibration error").delta == ""
    assert "no temperature" in words(app)


@pytest.fixture
def shipped(tmp_path, monkeypatch, ask):
    """A lab that ships one model, `mine`, with all that a card can tell."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    assert ask("export", "accurate", str(folder / "mine"), "--summary", "A model of *ours*.")[0] == 0
    for module in ("mnist_core.models.checkpoint", "mnist_core.runs.catalogue", "ui.widgets.model"):
        monkeypatch.setattr(f"{module}.SHIPPED", folder)
    return folder / "mine"


def test_the_home_page_reads_its_model_table_from_cards(shipped):
    update_card(
        shipped,
        measured=Measured(
            test_accuracy=0.5, drawn_accuracy=0.123, calibration_error=0.0456, refused=0.01, milliseconds=7.25
        ),
        about=About(
            data=["MNIST"],
            seeds=[3, 4],
            command="python -m mnist_core train",
            figures={"MNIST test, %": Figure(mean=99.6, std=0.03, seeds=3)},
            limits=["Not for *letters*."],
        ),
    )
    app = visit("home.py")
    assert not app.exception
    (row,) = html_table(app)
    card = read_card(shipped)
    assert (row["model"], row["parameters"], row["kB"]) == ("mine", f"{card.parameters:,}", "318")
    assert (row["drawn"], row["calibration error"], row["ms a prediction"]) == ("12.30 %", "4.56 %", "7.2")
    assert row["test"] == f"{card.metrics['test_accuracy']:.2%}".replace("%", " %")
    said = words(app)
    assert "99.6 ± 0.03 (3 trainings)" in said
    assert "Not for \\*letters\\*\\." in said
    assert app.code[0].value == "python -m mnist_core train"


def test_columns_of_which_no_card_knows_anything_are_left_out(shipped):
    update_card(shipped, measured=None)
    app = visit("home.py")
    assert not app.exception
    (row,) = html_table(app)
    assert not {"drawn", "ms a prediction", "calibration error"} & set(row)
    assert {"model", "test", "parameters"} <= set(row)


def test_the_shipped_models_have_been_measured():
    for folder in SHIPPED.iterdir():
        card = read_card(folder)
        assert card.measured is not None
        assert card.measured.test_accuracy == pytest.approx(card.metrics["test_accuracy"])
