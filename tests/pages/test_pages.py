"""Each page through Streamlit's AppTest: without a browser, on a fresh folder, and with things gone wrong."""

from __future__ import annotations

import json
import shutil
import time
from types import SimpleNamespace

import pytest

from mnist_core.data.loading import load_dataset
from mnist_core.inference.predictor import Predictor
from mnist_core.recipes import get_recipe
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run, list_runs
from tests.helpers.pages import PAGES, answer, drawn_seven, finished_run, visit, words


@pytest.fixture(autouse=True)
def _no_mnist(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path / "data"))


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_on_a_fresh_folder_without_mnist(page):
    app = visit(page)
    assert not app.exception
    assert not app.error


@pytest.mark.mnist
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_with_mnist(page, mnist_dir, monkeypatch):
    monkeypatch.setenv("MNIST_LAB_DATA", str(mnist_dir))
    app = visit(page)
    assert not app.exception
    assert not app.error
    assert "not on this machine" not in words(app)


@pytest.mark.parametrize("page", ["home.py", "pages/train.py"])
def test_missing_mnist_is_said_and_the_download_offered(page):
    app = visit(page)
    assert "MNIST is not on this machine yet" in words(app)
    assert any("Download MNIST" in button.label for button in app.button)


def test_without_mnist_the_train_page_starts_on_digits():
    app = visit("pages/train.py")
    dataset = next(box for box in app.selectbox if box.label == "Dataset")
    assert dataset.value == "digits"
    dataset.select("mnist").run()
    assert next(button for button in app.button if button.label == "Run").disabled


def test_a_run_trains_to_the_end_and_shows_the_result(with_workers):
    app = visit("pages/train.py")
    next(slider for slider in app.slider if slider.label == "Epochs").set_value(2).run()
    assert "Changed: epochs 2" in words(app)
    next(button for button in app.button if button.label == "Run").click().run()
    (run,) = list_runs()
    deadline = time.monotonic() + 120
    while run.status().active and time.monotonic() < deadline:
        time.sleep(0.2)
    assert run.status().state == "completed", run.status()
    assert run.config().epochs == 2
    app.run()
    assert {metric.label for metric in app.metric} == {"Test accuracy", "Validation accuracy"}
    expected = json.loads((run.checkpoint() / "card.json").read_text())["metrics"]["test_accuracy"]
    assert next(m for m in app.metric if m.label == "Test accuracy").value == f"{expected:.2%}"


def test_a_recipe_sets_its_settings_and_restores_them():
    app = visit("pages/train.py")
    next(box for box in app.selectbox if box.label == "Recipe").select("two-conv").run()
    dropout = next(slider for slider in app.slider if slider.label == "Dropout")
    dropout.set_value(0.5).run()
    assert "dropout 0.5" in words(app)
    next(button for button in app.button if button.label == "Back to the recipe").click().run()
    assert next(slider for slider in app.slider if slider.label == "Dropout").value == 0.0


def test_a_failed_run_says_why(tmp_path):
    run = create_run(get_recipe("quick").config("mnist"))
    execute(run)
    app = visit("pages/train.py")
    assert not app.exception
    assert any("MNIST is not in" in error.value for error in app.error)


def test_a_damaged_run_does_not_break_a_page(tmp_path):
    good, bad = finished_run(), create_run(get_recipe("quick").config("digits"))
    (bad.folder / "config.json").write_text("{")
    (bad.folder / "status.json").write_text("[]")
    (bad.folder / "metrics.jsonl").write_bytes(b"\xff\x00 nonsense\n{\n")
    for page in PAGES:
        app = visit(page)
        assert not app.exception, page
    app = visit("pages/results.py")
    assert any(good.id in str(option) or "digits" in str(option) for option in app.selectbox[0].options)


def test_an_unwritable_runs_folder_is_said_in_a_sentence(tmp_path, monkeypatch, with_workers):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MNIST_LAB_RUNS", str(tmp_path / "file" / "runs"))
    app = visit("pages/train.py")
    assert not app.exception
    assert any("MNIST_LAB_RUNS" in error.value for error in app.error)


def test_a_blank_canvas_invites_and_a_drawing_is_read():
    app = visit("pages/draw.py")
    assert answer(app)["invitation"][0] == "Draw a digit"
    assert answer(app)["answer"] is None
    app.session_state["canvas-0"] = drawn_seven()
    app.run()
    assert not app.exception
    shown = answer(app)["answer"]
    assert shown["digit"] == 7
    assert shown["rejection"] is None
    assert [len(row) for row in shown["input"]] == 28 * [28]
    assert "What the model sees" in words(app)


def test_a_link_begins_a_drawing_with_an_image():
    run = finished_run()
    app = visit("pages/draw.py", model=run.id)
    app.query_params["image"] = "test:3"
    app.run()
    assert not app.exception
    expected = Predictor(run.checkpoint()).predict(load_dataset("digits").test_images[3, 0])
    assert answer(app)["answer"]["input"] == expected.model_input.tolist()
    assert answer(app)["strokes"] == 1
    for wrong in ("test:99999", "test:-1", "../test:1", "validation:1"):
        app.query_params["image"] = wrong
        app.run()
        assert any("There is no image" in warning.value for warning in app.warning)


def test_results_of_a_run_agree_with_its_card():
    run = finished_run()
    app = visit("pages/results.py", model=run.id)
    assert not app.exception
    card = json.loads((run.checkpoint() / "card.json").read_text())
    assert next(m for m in app.metric if m.label == "Accuracy").value == f"{card['metrics']['test_accuracy']:.2%}"
    assert len(app.dataframe[0].value) == 10


@pytest.mark.parametrize("page", ["pages/draw.py", "pages/results.py", "pages/train.py"])
def test_a_damaged_checkpoint_falls_back_and_the_page_says_so(page):
    run = finished_run()
    weights = run.checkpoint() / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert run.checkpoint().name == "epoch-001"
    app = visit(page, model=run.id)
    assert not app.exception
    assert not app.error
    (warning,) = app.warning
    assert warning.value == "The checkpoint epoch-002 of this run is damaged. This is the one before: epoch-001."


def test_the_panel_reports_a_full_disk_and_damage(monkeypatch):
    run = create_run(get_recipe("quick").config("digits"))
    run.set_status("paused", "The disk is full. Free some space and press Resume: nothing is lost.")
    note = {"event": "resume", "step": 0, "epoch": 0, "note": "The newest saved state is damaged."}
    (run.folder / "metrics.jsonl").write_text(json.dumps(note) + "\n")
    with run.lock:
        app = visit("pages/train.py")
        assert [warning.value for warning in app.warning] == [run.status().reason]
        assert any("newest saved state is damaged" in info.value for info in app.info)
        assert any(button.label == "Resume" for button in app.button)
        # a status that could not be written either is an old one
        run.set_status("running")
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
        app = visit("pages/train.py")
        (warning,) = app.warning
        assert warning.value.startswith("The disk is full. Free some space")


def test_a_run_of_damaged_checkpoints_only_is_refused():
    run = finished_run()
    for folder in run.checkpoints():
        weights = folder / "model.safetensors"
        *rest, last = weights.read_bytes()
        weights.write_bytes(bytes([*rest, last ^ 1]))
    app = visit("pages/draw.py", model=run.id)
    app.session_state["canvas-0"] = drawn_seven()  # before that the model is not read
    app.run()
    assert not app.exception
    assert any("SHA-256" in error.value for error in app.error)
