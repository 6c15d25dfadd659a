"""The Teach page: what it asks for, keeps and shows, and what it says where there is nothing to teach."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from mnist_core.data.collection import FOLDER, Collection
from mnist_core.errors import RunError
from mnist_core.models.checkpoint import update_card
from mnist_core.runs.run import Run, create_run, list_runs
from mnist_core.system.settings import runs_folder
from tests.helpers.drawing import polygon
from tests.helpers.pages import answer, drawn_seven, finished_run, visit, words
from ui import actions

PAGE = "pages/teach.py"
pytestmark = pytest.mark.usefixtures("no_mnist_and_no_workers")


def button(app: AppTest, label: str):
    return next((each for each in app.button if each.label.startswith(label)), None)


def sent(app: AppTest, name: str) -> dict:
    """What the page gives to a component of its own."""
    (shown,) = (each.proto for each in app.get("bidi_component") if each.proto.component_name == f"mnist_lab.{name}")
    return json.loads(shown.json)


def filled(name: str = "", labels: str = "0123456789", each: int = 5) -> Collection:
    mine = Collection(runs_folder() / FOLDER, name)
    for number in range(each):
        for label in labels:
            mine.add(label, polygon(int(label) + 2, number))
    return mine


def taught_run(**metrics: float) -> Run:
    """A run that says it was taught the drawings without a name, with these figures."""
    mine = Collection(runs_folder() / FOLDER)
    run = finished_run(recipe="teach")
    config = run.config().replace(recipe="teach", dataset=f"drawings:{mine.path.resolve()}", rehearsal="digits")
    (run.folder / "config.json").write_text(config.model_dump_json())
    figures = {
        "test_accuracy": 1.0,
        "test_images": 10,
        "before_accuracy": 0.8,
        "earlier_accuracy": 0.99,
        "earlier_before": 0.995,
        "earlier_images": 1000,
        "forgotten": 7,
        "gained": 2,
        "val_accuracy": 0.99,
    }
    update_card(run.checkpoint(), config=config, metrics=figures | metrics)
    return run


def test_the_board_asks_and_says_how_many_are_drawn():
    filled(labels="012345678", each=5)
    app = visit(PAGE)
    assert not app.exception
    asked = sent(app, "labels")
    assert (asked["asked"], asked["words"]) == ("9", "45 of 50 drawn, kept without a name.")
    assert sent(visit(PAGE, owner="Ann"), "labels")["words"] == "0 of 50 drawn, kept under the name Ann."


def test_without_a_held_out_drawing_nothing_is_taught():
    filled(each=4)
    app = visit(PAGE)
    assert button(app, "Teach pen").disabled
    assert "Draw at least one digit 5 times" in words(app)


def test_a_label_that_the_model_does_not_know_is_named():
    filled()
    Collection(runs_folder() / FOLDER).add("x", polygon(3))
    app = visit(PAGE)
    assert button(app, "Teach pen").disabled
    assert "pen knows no x" in words(app)


def test_teaching_begins_a_run_of_ones_own():
    mine = filled("Ann")
    app = visit(PAGE, owner="Ann")
    assert "There are 5 or more of each." in [each.value for each in app.success]
    button(app, "Teach pen").click().run()
    assert not app.exception
    assert not app.error
    (run,) = list_runs()
    config = run.config()
    assert (run.owner, config.recipe, config.init_from) == ("Ann", "teach", "pen")
    assert config.dataset == f"drawings:{mine.path.resolve()}"
    assert run.status().state == "queued"
    assert button(app, "Stop") is not None


def test_before_and_after_have_intervals_and_name_forgetting():
    taught_run()
    app = visit(PAGE)
    said = words(app)
    assert "| Your drawings that were held out (10) | 80 % (49 % to 94 %) | 100 % (72 % to 100 %) |" in said
    assert "| digits, test images (1,000) | 99.50 % (98.83 % to 99.79 %) | 99.00 % (98.17 % to 99.46 %) |" in said
    assert "Of the 995 test images of digits that it read right before, it now misreads **7**; 2 others" in said


def test_a_taught_model_is_kept_or_discarded():
    run = taught_run()
    app = visit(PAGE)
    button(app, "Keep").click().run()
    assert run.pinned
    assert not app.exception
    assert button(app, "Keep") is None
    assert "Draw with it" in {each.proto.label for each in app.get("page_link")}
    run.pin(False)
    app.run()
    button(app, "Discard").click().run()
    next(each for each in app.button if each.key == "question-yes").click().run()
    assert list_runs() == []
    assert "What teaching changed" not in words(app)


def test_a_damaged_collection_is_a_sentence_and_stays():
    mine = filled()
    mine.path.write_bytes(b"damaged")
    app = visit(PAGE)
    assert not app.exception
    assert any("is not in the format of pen strokes" in each.value for each in app.error)
    assert mine.path.read_bytes() == b"damaged"


def test_a_model_of_colour_pictures_is_not_taught(colour_checkpoint, monkeypatch):
    run = create_run(finished_run().config())
    (run.folder / "checkpoints" / "epoch-001").parent.mkdir(exist_ok=True)
    colour_checkpoint.rename(run.folder / "checkpoints" / "epoch-001")
    run.finish("completed", checkpoint=run.folder / "checkpoints" / "epoch-001")
    app = visit(PAGE, model=run.id)
    assert not app.exception
    assert "This model does not read drawings" in words(app)


# ---- labels on Draw -------------------------------------------------------------------------------------------------


def test_a_drawing_is_offered_to_be_labelled_after_its_answer():
    app = visit("pages/draw.py", **{"canvas-0": drawn_seven()})
    assert answer(app)["answer"]["digit"] == 7
    offered = sent(app, "labels")
    assert (offered["classes"], offered["asked"], offered["chosen"]) == (list("0123456789"), None, "")
    assert (offered["version"], offered["strokes"]) == (0, 1)


@pytest.mark.parametrize("mode", ["read-only", "draw-only"])
def test_nothing_is_collected_outside_the_full_mode(mode, monkeypatch):
    mine = filled(each=1)
    monkeypatch.setenv("MNIST_LAB_MODE", mode)
    app = visit("pages/draw.py", **{"canvas-0": drawn_seven()})
    assert not [each for each in app.get("bidi_component") if each.proto.component_name == "mnist_lab.labels"]
    (kept, *_) = mine.drawings()
    for action in (
        actions.drawings,
        actions.export_drawings,
        lambda: actions.keep_drawing("7", polygon(3)),
        lambda: actions.remove_drawing(kept.id),
        lambda: actions.import_drawings(mine.export(), "a.json.gz"),
    ):
        with pytest.raises(RunError, match="nothing can be changed here"):
            action()
    assert len(mine.drawings()) == 10
    if mode == "read-only":
        assert "drawings are not kept" in words(visit(PAGE))
