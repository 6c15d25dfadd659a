"""Datasets of other kinds than MNIST on every page: colour, one's own, many classes, names that look like markup."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from mnist_core.cli import main
from mnist_core.figures.classification import confusion_figure, probability_bars
from mnist_core.inference.predictor import Predictor
from mnist_core.recipes import get_recipe
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run, list_runs
from tests.helpers.files import encoded, sheet, write_folder, write_sheet, write_zip
from tests.helpers.pages import answer, drawn_seven, visit, words

NAMES = ("*cat* [x](y)", "a very long name of a class, that no axis has room for", "dog")


@pytest.fixture(autouse=True)
def _no_mnist(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path / "data"))


def picture(number: int, colour: bool) -> bytes:
    """Noise about a level that tells the classes apart."""
    rng = np.random.default_rng(number)
    shape = (20, 24, 3) if colour else (20, 24)
    level = np.zeros(shape)
    level[: 4 + 16 * (number % 3) // 2] = 150
    return encoded(np.clip(level + rng.integers(0, 60, shape), 0, 255))


def own_set(root, names=NAMES, colour=True, each=12):
    files = {f"{name}/{n}.png": picture(3 * n + index, colour) for index, name in enumerate(names) for n in range(each)}
    return write_folder(root, files)


def trained(dataset: str):
    run = create_run(get_recipe("quick").config(dataset))
    execute(run)
    assert run.status().state == "completed", run.status()
    return run


def choose(app, label: str, value: str):
    next(box for box in app.selectbox if box.label == label).select(value).run()


def test_a_model_of_colour_is_trained_judged_and_asked(tmp_path):
    path = own_set(tmp_path / "my pets")
    run = trained(f"folder:{path}")
    card = json.loads((run.checkpoint() / "card.json").read_text())
    assert card["input_shape"] == [3, 20, 24]
    assert sorted(card["classes"]) == sorted(NAMES)

    app = visit("pages/results.py", model=run.id)
    assert not app.exception
    assert not app.error
    assert len(app.dataframe[0].value) == 3
    assert "my pets" in str(next(box for box in app.selectbox if box.label == "Test images of").options)
    assert "*cat*" not in words(app)  # but escaped
    choose(app, "Test images of", "digits")
    assert any("another dataset or another model" in error.value for error in app.error)

    app = visit("pages/draw.py", model=run.id)
    assert not app.exception
    assert "colour pictures" in words(app)
    assert answer(app)["invitation"][0] == "Upload a photo"
    assert answer(app)["route"] is None
    prediction = Predictor(run.checkpoint()).predict(np.full((300, 100, 4), 200, np.uint8))
    assert prediction.model_input.shape == (20, 24, 3)
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_a_grey_model_of_another_size_reads_the_canvas(tmp_path):
    run = trained(f"folder:{own_set(tmp_path / 'grey', colour=False)}")
    app = visit("pages/draw.py", model=run.id)
    assert "It tells apart" in " ".join(answer(app)["invitation"])
    app.session_state["canvas-0"] = drawn_seven()
    app.run()
    assert not app.exception
    assert np.shape(answer(app)["answer"]["input"]) == (20, 24)
    assert "20×24 pixels" in words(app)


def test_own_pictures_are_chosen_on_the_train_page_and_run(tmp_path):
    path = own_set(tmp_path / "pets")
    app = visit("pages/train.py")
    choose(app, "Dataset", "folder")
    run_button = next(button for button in app.button if button.label == "Run")
    assert run_button.disabled
    field = next(box for box in app.text_input if "Folder" in box.label)
    field.input(str(tmp_path / "nowhere")).run()
    assert any("There is nothing at" in error.value for error in app.error)
    next(box for box in app.text_input if "Folder" in box.label).input(str(path)).run()
    assert not app.error
    next(button for button in app.button if button.label == "Run").click().run()
    assert not app.exception
    (run,) = list_runs()
    assert run.config().dataset == f"folder:{path}"
    run.command("stop")


def test_pen_strokes_judge_a_model_on_the_results_page(tmp_path):
    name = write_sheet(tmp_path / "strokes.json", sheet(20))
    run = trained(name)
    app = visit("pages/results.py", model=run.id)
    assert not app.exception
    assert not app.error
    assert any("strokes.json" in str(box.options) for box in app.selectbox)


def test_cifar_is_offered_where_it_is_not(tmp_path):
    app = visit("pages/train.py")
    choose(app, "Dataset", "cifar10")
    assert "CIFAR-10 is not on this machine yet" in words(app)
    assert any(button.label == "Download CIFAR-10" for button in app.button)
    assert next(button for button in app.button if button.label == "Run").disabled


def test_a_hundred_classes_have_a_page_of_results(tmp_path):
    rng = np.random.default_rng(0)
    files = {f"{c}/{n}.png": encoded(rng.integers(0, 256, (16, 16))) for c in range(100) for n in range(5)}
    run = trained(f"folder:{write_zip(tmp_path / 'many.zip', files)}")
    app = visit("pages/results.py", model=run.id)
    assert not app.exception
    assert not app.error
    assert len(app.dataframe[0].value) == 100


def test_a_large_confusion_has_cells_to_click_and_no_numbers():
    names = [f"{'long ' * 4}{n}" for n in range(100)]
    matrix = confusion_figure(np.random.default_rng(0).integers(0, 9, (100, 100)), names)
    cells = matrix.data[1]
    assert cells.mode == "markers"
    assert len(cells.customdata) == 10_000
    assert len(matrix.layout.xaxis.tickvals) <= 25
    assert max(map(len, matrix.layout.xaxis.ticktext)) <= 12
    assert confusion_figure(np.eye(10, dtype=int), list("0123456789")).data[1].mode == "markers+text"


def test_of_many_classes_the_bars_show_the_most_probable():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(100))
    figure = probability_bars(probabilities, [str(n) for n in range(100)], int(probabilities.argmax()))
    (bars,) = go.Figure(figure).data
    assert list(bars.x) == [str(n) for n in np.argsort(-probabilities)[:20]]
    assert bars.marker.color.index("#009E73") == 0


def test_the_command_line_trains_judges_and_reads_them(tmp_path, capsys):
    path = own_set(tmp_path / "pets")
    assert main(["train", "--dataset", f"folder:{path}", "--json"]) == 0
    trained = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert main(["evaluate", trained["checkpoint"], "--json"]) == 0
    judged = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert judged["n"] == 8
    assert judged["accuracy"] == pytest.approx(trained["test_accuracy"])
    assert main(["evaluate", trained["checkpoint"], "--dataset", "digits"]) == 2
    assert main(["predict", trained["checkpoint"], str(path / "dog")]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 12
    assert {len(line["probabilities"]) for line in lines} == {3}
    assert all(line["digit"] == int(np.argmax(line["probabilities"])) for line in lines)
