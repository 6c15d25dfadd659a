"""The tab Search of the Compare page through Streamlit's AppTest, and a link to a run."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from mnist_core.experiments import search_results
from mnist_core.experiments.search import list_searches, open_search
from mnist_core.experiments.search_work import take
from mnist_core.runs.run import create_run, list_runs
from tests.helpers import ROOT
from tests.helpers.events import append, end
from tests.helpers.pages import words
from tests.helpers.runs import CONFIG
from tests.helpers.searches import told


@pytest.fixture(autouse=True)
def _alone(no_mnist_and_no_workers) -> None: ...


@pytest.fixture
def begun(monkeypatch) -> list[list[str]]:
    """The commands of the processes that the page would have started."""
    commands: list[list[str]] = []
    monkeypatch.setattr(search_results.subprocess, "Popen", lambda command, **_: commands.append(command))
    return commands


def opened(**state: object) -> AppTest:
    app = AppTest.from_file(str(ROOT / "home.py"), default_timeout=60)
    for name, value in state.items():
        app.session_state[name] = value
    app = app.run().switch_page("pages/compare.py")
    app.query_params["view"] = "Search"
    app = app.run()
    assert not app.exception
    return app


def widget(kind, label: str):
    return next(one for one in kind if one.label == label)


def test_a_search_is_planned_and_started(begun):
    app = opened()
    widget(app.multiselect, "Settings to search").set_value(["learning_rate", "batch_norm"]).run()
    widget(app.text_input, "Learning rate: to").set_value("0.1").run()
    widget(app.number_input, "Trials").set_value(8).run()
    widget(app.number_input, "Processes").set_value(2).run()
    widget(app.button, "Start").click().run()
    assert not app.exception
    assert not app.error
    (plan,) = list_searches()
    assert [found.text for found in plan.ranges] == ["batch_norm=true,false", "learning_rate=0.0003:0.1:log"]
    assert plan.base.dataset == "digits"
    assert open_search(plan.name).budget.trials == 8
    assert [command[command.index("--join") + 1] for command in begun] == [plan.name] * 2
    assert "A process begins" in words(app)
    assert "0 of 8 trials ended" in [bar.proto.text for bar in app.get("progress")]


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [("0.1", "0.01", "should go up"), ("0", "0.1", "begins above 0"), ("much", "1", "is no number")],
)
def test_a_range_without_sense_is_said_and_not_started(begun, low, high, said):
    app = opened()
    widget(app.text_input, "Learning rate: from").set_value(low).run()
    widget(app.text_input, "Learning rate: to").set_value(high).run()
    assert not app.exception
    assert any(said in error.value for error in app.error)
    assert "Start" not in [button.label for button in app.button]


def test_what_was_found_is_shown_with_links_and_figures(begun):
    run = told([0.91, 0.94, 0.92, 0.95], runs=True).best().run
    assert run.trial == ("told", 3)
    app = opened()
    assert "Best so far: **95.00%** on validation, by trial 3" in words(app)
    assert f"[Its run](train?run={run.id})" in words(app)
    table = app.dataframe[0].value
    assert list(table["trial"]) == [3, 2, 1, 0]
    assert list(table["validation"]) == [0.95, 0.92, 0.94, 0.91]
    assert table["run"][0] == f"train?run={run.id}"
    for view in ("Importance", "One setting", "Two settings", "All settings"):
        widget(app.segmented_control, "Show").set_value(view).run()
        assert not app.exception
        assert not app.error
    widget(app.segmented_control, "Show").set_value("Two settings").run()
    widget(app.selectbox, "Up").set_value("dropout").run()
    assert "Choose two different settings" in words(app)


def test_the_winner_is_trained_and_its_difference_said():
    search = told([0.91, 0.97])
    app = opened()
    widget(app.button, "Train the winner with five seeds").click().run()
    assert not app.exception
    runs = list_runs()
    assert len(runs) == 5
    assert "Trial 1 with fresh seeds** · 0 of 5" in words(app)
    assert "Train the winner with five seeds" not in [button.label for button in app.button]
    for run in runs:
        append(run, {**end(test_accuracy=0.94), "val_accuracy": 0.95})
        (run.folder / "waiting.json").unlink()
        run.finish("completed")
    app = opened()
    assert "2.00 points less. The best of 2 trials is flattered" in words(app)
    assert search.plan.base.seed not in {run.config().seed for run in runs}


def test_a_search_is_stopped_and_goes_on(begun):
    search = told([0.9])
    search.set_budget(type(search.budget)(3, None))
    app = opened()
    assert "No process works on this search" in "".join(warning.value for warning in app.warning)
    taken = take(search)
    with search.worker():
        app = opened()
        assert "1 process at work" in next(bar.proto.text for bar in app.get("progress"))
        widget(app.button, "Stop").click().run()
        assert not app.exception
        assert open_search("told").stopped
    taken.lock.release()
    app = opened()
    assert "Continue takes its trials up where they stand" in words(app)
    widget(app.button, "Continue").click().run()
    assert not open_search("told").stopped
    assert len(begun) == 1


def test_somebody_elses_search_is_stopped_on_a_second_word(begun):
    search = told([0.9], owner="Ada")
    with search.worker():
        app = opened()
        assert "Stop" not in [button.label for button in app.button]
        assert "it belongs to **Ada**" in words(app)
        widget(app.button, "Yes, stop the search of Ada").click().run()
    assert open_search("told").stopped


def test_a_read_only_lab_shows_searches_and_starts_none(monkeypatch, begun):
    told([0.91, 0.94])
    monkeypatch.setenv("MNIST_LAB_MODE", "read-only")
    app = opened()
    assert "Best so far: **94.00%**" in words(app)
    assert not [button.label for button in app.button]
    assert not app.number_input


def test_a_storage_that_is_away_is_one_sentence(monkeypatch):
    search = told([0.9])
    (search.folder / "journal.jsonl").unlink()
    (search.folder / "journal.jsonl").mkdir()
    app = opened()
    assert any("journal of the search cannot be" in error.value for error in app.error)


def test_a_link_opens_a_run_and_leaves_the_settings(monkeypatch):
    runs = [create_run(CONFIG.replace(seed=seed, dropout=seed / 10)) for seed in (1, 2)]
    for run in runs:
        run.finish("stopped", "By hand.")
    app = AppTest.from_file(str(ROOT / "home.py"), default_timeout=60).run().switch_page("pages/train.py")
    app.query_params["run"] = runs[0].id
    app.run()
    assert not app.exception
    assert app.session_state["run"] == runs[0].id
    app.query_params["run"] = "../../etc"
    app.run()
    assert any("There is no run '../../etc'" in error.value for error in app.error)
