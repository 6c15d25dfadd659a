"""What visitors may do: whose runs ask how often, modes and limits on the pages, and that no page goes past them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mnist_core.config import TrainConfig
from mnist_core.errors import LabError
from mnist_core.experiments.export import bundle
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import Run, create_run, list_runs
from mnist_core.system.settings import runs_folder
from tests.helpers import ROOT
from tests.helpers.pages import PAGES, answer, drawn_seven, finished_run, visit, words
from ui import actions

SCREENS = [ROOT / "home.py", *sorted((ROOT / "pages").glob("*.py")), *sorted((ROOT / "ui").rglob("*.py"))]
CHANGING = {"create_run", "create_study", "delete_run", "pin", "write_owner", "download", "judge_stopped", "execute"}
CHANGING |= {"import_bundle", "create_runs", "create_seed_runs", "queue_runs"}


pytestmark = pytest.mark.usefixtures("no_mnist_and_no_workers")


def button(app: AppTest, key: str):
    return next((each for each in app.button if each.key == key), None)


def labels(app: AppTest) -> set[str]:
    return {each.label for each in app.button}


def waiting_run(owner: str = "") -> Run:
    run = create_run(TrainConfig(recipe="quick", dataset="digits"), owner=owner)
    Queue(runs_folder()).add(run)
    return run


# ---- only actions change anything -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SCREENS, ids=lambda path: path.name)
def test_only_actions_imports_what_changes_runs_or_data(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert path.name == "actions.py" or not names & CHANGING


@pytest.mark.parametrize("mode", ["read-only", "draw-only"])
def test_every_action_is_refused_outside_the_full_mode(mode, monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MODE", mode)
    run, config = finished_run(), TrainConfig(recipe="quick", dataset="digits")
    every_action = [
        lambda: actions.start(config),
        lambda: actions.start_seeds(config, 5),
        lambda: actions.measure("learning-rate", config, ""),
        lambda: actions.cancel(None),
        lambda: actions.start_study(config, [], []),
        lambda: actions.resume(run),
        lambda: actions.import_bundle(b"", "a.zip"),
        lambda: actions.command(run, "pause"),
        lambda: actions.step(run, "batch"),
        lambda: actions.change(run, {"dropout": 0.5}),
        lambda: actions.evaluate_stopped_run(run),
        lambda: actions.stop(run),
        lambda: actions.delete(run),
        lambda: actions.pin(run, True),
        lambda: actions.fetch("mnist"),
    ]
    for action in every_action:
        with pytest.raises(LabError, match="MNIST_LAB_MODE\\): nothing can be changed here"):
            action()
    assert list_runs() == [run]
    assert run.control().command == "run"
    assert not run.pinned
    monkeypatch.delenv("MNIST_LAB_MODE")
    actions.delete(run)
    assert list_runs() == []


def content(*folders: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mode", ["read-only", "draw-only"])
@pytest.mark.parametrize("page", PAGES)
def test_no_button_changes_files_outside_the_full_mode(page, mode, monkeypatch, tmp_path):
    """Those that the restricted page shows, and those of a page that was opened while the mode was still full."""
    finished_run()
    waiting_run()
    before = content(runs_folder(), tmp_path / "data")

    def visit_in(mode: str) -> AppTest:
        monkeypatch.setenv("MNIST_LAB_MODE", mode)
        return visit(page)

    for shown in ("full", mode):
        for number, offered in enumerate(visit_in(shown).button):
            if offered.disabled:
                continue
            app = visit_in(shown)
            monkeypatch.setenv("MNIST_LAB_MODE", mode)
            app.button[number].click().run()
            assert not app.exception, offered.label
            assert content(runs_folder(), tmp_path / "data") == before, offered.label


# ---- modes on the pages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_read_only_pages_show_all_and_offer_no_changes(page, monkeypatch):
    finished_run()
    waiting_run()
    monkeypatch.setenv("MNIST_LAB_MODE", "read-only")
    app = visit(page)
    assert not app.exception
    assert not app.error
    changing = ("Run", "Queue", "Pause", "Stop", "Start", "Delete", "Pin", "Cancel", "Continue", "Download MNIST")
    assert not labels(app) & set(changing)
    options = {str(option) for each in app.selectbox for option in each.options}
    assert not any("Your own" in option for option in options)
    assert not any(each.label == "Your name" for each in app.selectbox)
    if page == "pages/train.py":
        assert "trainings can be watched, not started" in words(app)
        assert "Waiting" in words(app)


def test_read_only_pages_ignore_a_path_in_the_address(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MODE", "read-only")
    app = visit("home.py")
    app.query_params["dataset"] = f"folder:{tmp_path}"
    for page in PAGES:
        app.switch_page(page).run()
        assert not app.exception
        assert str(tmp_path) not in words(app)


@pytest.mark.parametrize("page", PAGES)
def test_draw_only_pages_are_two(page, monkeypatch):
    run = finished_run()
    monkeypatch.setenv("MNIST_LAB_MODE", "draw-only")
    app = visit(page)
    assert not app.exception
    assert not app.error
    links = {each.proto.label for each in app.get("page_link")}
    assert not {"Train", "Results", "Compare", "Data", "**Train**", "**Data**"} & links
    assert {"Home", "Draw"} <= links
    shut = "This lab shows its Draw page only (MNIST_LAB_MODE=draw-only)." in words(app)
    assert shut == (page not in ("home.py", "pages/draw.py"))
    if shut:
        assert len(app.get("plotly_chart") or []) + len(app.dataframe) + len(app.selectbox) == 0
        assert run.id not in words(app)


def test_draw_only_pages_read_drawings(monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MODE", "draw-only")
    app = visit("pages/draw.py")
    app.session_state["canvas-0"] = drawn_seven()
    app.run()
    assert answer(app)["answer"]["digit"] == 7


@pytest.mark.parametrize("page", PAGES)
def test_an_unknown_mode_shows_nothing_but_an_error(page, monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MODE", "public")
    app = visit(page)
    assert not app.exception
    assert [e.value for e in app.error] == [
        "MNIST_LAB_MODE should be 'full', 'read-only' or 'draw-only', not 'public'."
    ]
    assert not labels(app)


# ---- whose run ------------------------------------------------------------------------------------------------------


def test_a_name_is_typed_once_and_shown_beside_the_run():
    app = visit("pages/train.py", owner="Ann Lee")  # AppTest cannot type what is no option
    next(each for each in app.button if each.label == "Run").click().run()
    (run,) = list_runs()
    assert run.owner == "Ann Lee"
    assert "Ann Lee" in words(app)
    app.switch_page("pages/draw.py").run()
    app.switch_page("pages/train.py").run()
    assert next(each for each in app.selectbox if each.label == "Your name").value == "Ann Lee"
    # and it is offered to the next tab
    other = visit("pages/train.py")
    assert "Ann Lee" in next(each for each in other.selectbox if each.label == "Your name").options


def test_an_invalid_name_is_refused_and_runs_have_no_owner():
    app = visit("pages/train.py", owner="<b>x</b>")
    assert not app.exception
    assert any("A name has at most" in each.value for each in app.error)
    next(each for each in app.button if each.label == "Run").click().run()
    assert [run.owner for run in list_runs()] == [""]


@pytest.mark.parametrize(("mine", "theirs"), [("", ""), ("Ann", "Ann")])
def test_ones_own_run_stops_without_a_question(mine, theirs):
    run = waiting_run(theirs)
    app = visit("pages/train.py", owner=mine)
    button(app, "stop").click().run()
    assert run.status().state == "stopped"
    assert button(app, "question-yes") is None


def test_a_run_without_owner_asks_once_before_it_stops():
    run = waiting_run()
    app = visit("pages/train.py", owner="Ann")
    button(app, "stop").click().run()
    assert run.status().state == "queued"
    button(app, "question-yes").click().run()
    assert run.status().state == "stopped"
    assert button(app, "question-yes") is None


def test_another_persons_run_asks_twice_and_names_the_owner():
    run = waiting_run("Bo")
    app = visit("pages/train.py", owner="Ann")
    button(app, "stop").click().run()
    assert button(app, "question-yes").disabled
    assert "belongs to **Bo**" in words(app)
    app.checkbox[0].check().run()
    assert run.status().state == "queued"
    button(app, "question-yes").click().run()
    assert run.status().state == "stopped"


def test_cancelling_the_question_changes_nothing():
    run = waiting_run("Bo")
    app = visit("pages/train.py")
    button(app, f"cancel-{run.id}").click().run()
    button(app, "question-no").click().run()
    assert run.status().state == "queued"
    assert button(app, "question-yes") is None


# ---- the list of runs -----------------------------------------------------------------------------------------------


def test_over_the_storage_limit_deletion_needs_agreement(monkeypatch):
    old, kept = finished_run(), finished_run(seed=1)
    kept.pin()
    for run in (old, kept):
        (run.folder / "much").write_bytes(bytes(1_000_000))
    monkeypatch.setenv("MNIST_LAB_MAX_STORAGE", "2")
    app = visit("pages/train.py")
    assert "this lab allows 2 MB" in words(app)
    next(each for each in app.button if each.label in ("Run", "Queue")).click().run()
    assert any("over the limit of 2 MB" in each.value for each in app.error)
    assert set(list_runs()) == {old, kept}
    button(app, "offer-delete").click().run()
    assert set(list_runs()) == {old, kept}
    button(app, "question-yes").click().run()
    assert list_runs() == [kept]
    assert "this lab allows" not in words(app)


def test_a_model_whose_run_was_deleted_gives_way_to_another():
    run = finished_run()
    app = visit("pages/draw.py", model=run.id)
    actions.delete(run)
    app.run()
    assert not app.exception
    assert not app.error


def test_limits_are_said_on_the_train_page(monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MAX_QUEUE", "0")
    waiting_run()
    app = visit("pages/train.py")
    next(each for each in app.button if each.label == "Queue").click().run()
    assert any("The queue is full (MNIST_LAB_MAX_QUEUE=0)" in each.value for each in app.error)
    assert len(list_runs()) == 1


def test_a_run_is_taken_along_and_brought_back():
    run = finished_run()
    forms = {form: actions.take_along(run, form) for form in ("report", "onnx", "card")}
    assert forms["report"].startswith(b"<!doctype html>")
    assert forms["card"].startswith(b"PK")
    with pytest.raises(LabError, match="There is no script of this training"):
        actions.take_along(run, "script")  # of digits, which torchvision does not have
    brought = actions.import_bundle(bundle(run), "ann.zip")
    assert brought.config() == run.config()
    assert brought.id in {each.id for each in list_runs()}
    with pytest.raises(LabError, match=r"a\.zip is no whole \.zip"):
        actions.import_bundle(b"PK", "a.zip")
