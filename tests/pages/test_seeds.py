"""Several seeds on the Train page, through AppTest: started, watched together or one by one, and listed."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from mnist_core.config import TrainConfig
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import create_run, list_runs
from mnist_core.system.settings import runs_folder
from tests.helpers.pages import finished_run, visit, words

PAGE = "pages/train.py"

pytestmark = pytest.mark.usefixtures("no_mnist_and_no_workers")


def button(app: AppTest, key: str):
    return next((each for each in app.button if each.key == key), None)


def switch(app: AppTest, label: str):
    return next((each for each in app.toggle if each.label == label), None)


def run_list(app: AppTest):
    """The table of runs, which is not the only one of the page."""
    return next(each.value for each in app.dataframe if "pinned" in each.value)


def test_one_click_queues_five_seeds_and_shows_them_together():
    app = visit(PAGE)
    assert button(app, "run-seeds").label == "× 5 seeds"
    button(app, "run-seeds").click().run()
    assert not app.exception
    assert not app.error
    made = Queue(runs_folder()).waiting()
    assert [run.config().seed for run in made] == [0, 1, 2, 3, 4]
    assert len({run.config().replace(seed=0).model_dump_json() for run in made}) == 1
    assert switch(app, "All 5 seeds together").value
    assert "seeds 0, 1, 2, 3, 4" in words(app)
    button(app, "stop-seeds").click().run()
    assert {run.status().state for run in list_runs()} == {"stopped"}


def test_the_number_of_seeds_is_chosen_from_the_own_one_on():
    app = visit(PAGE)
    numbers = {each.label: each for each in app.number_input}
    numbers["Seed"].set_value(7)
    numbers["Trainings at one click (×)"].set_value(3).run()
    button(app, "run-seeds").click().run()
    assert not app.error
    assert [run.config().seed for run in Queue(runs_folder()).waiting()] == [7, 8, 9]


def test_the_queues_limit_counts_each_seed(monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MAX_QUEUE", "3")
    app = visit(PAGE)
    button(app, "run-seeds").click().run()
    assert any("no room for 5 runs" in error.value for error in app.error)
    assert list_runs() == []


def test_a_teaching_has_one_seed_and_says_why(tmp_path):
    from ui import actions

    config = TrainConfig(recipe="teach", dataset="digits")
    with pytest.raises(Exception, match="keeps the seed of its model"):
        actions.start_seeds(config, 2)
    assert list_runs() == []


def test_ended_seeds_are_judged_together_and_opened_one_by_one():
    runs = [finished_run(seed=seed) for seed in (0, 1)]
    app = visit(PAGE)
    assert not app.exception
    metrics = {each.label: each.value for each in app.metric}
    shares = [_card(run)["test_accuracy"] for run in runs]
    assert metrics["Test accuracy, 2 seeds"] == f"{100 * np.mean(shares):.2f} ± {100 * np.std(shares, ddof=1):.2f} %"
    assert "95 % intervals of the means (Student's t)" in words(app)
    switch(app, "All 2 seeds together").set_value(False).run()
    assert not app.exception
    assert {each.label for each in app.metric} == {"Test accuracy", "Validation accuracy"}
    seed = next(each for each in app.selectbox if each.label == "Seed")
    other = 1 - seed.value  # runs of one second stand in any order
    seed.select(other).run()
    assert not app.exception
    assert app.session_state["run"] == runs[other].id
    assert f", seed {other}" in words(app)


def test_a_run_started_by_itself_is_shown_by_itself():
    ended = finished_run(seed=1)
    app = visit(PAGE)
    next(each for each in app.button if each.label == "Run").click().run()
    assert not app.exception
    (begun,) = (run for run in list_runs() if run.id != ended.id)
    begun.config_path.write_text(ended.config().replace(seed=0).model_dump_json())  # now they are alike
    app.run()
    assert not switch(app, "All 2 seeds together").value


def test_the_list_of_runs_groups_seeds_and_opens_them():
    runs = [finished_run(seed=seed) for seed in (0, 1)]
    create_run(TrainConfig(dataset="digits", model="mlp"))
    app = visit(PAGE)
    rows = run_list(app)
    assert sorted(rows["seeds"]) == ["2 seeds (0–1)", "seed 0"]
    grouped = rows[rows["seeds"] == "2 seeds (0–1)"].iloc[0]
    shares = [_card(run)["test_accuracy"] for run in runs]
    assert grouped["test"] == f"{100 * np.mean(shares):.2f} ± {100 * np.std(shares, ddof=1):.2f} %"
    assert grouped["state"] == "completed"
    assert grouped["curves"] == f"compare?runs={runs[0].id},{runs[1].id}"
    switch(app, "Group seeds").set_value(False).run()
    assert not app.exception
    assert len(run_list(app)) == 3


def test_what_a_link_hides_is_not_there():
    app = visit("home.py")
    app.query_params["hide"] = "seeds"
    app.switch_page(PAGE).run()
    assert button(app, "run-seeds") is None
    assert not any(each.label.startswith("Trainings at") for each in app.number_input)


def _card(run) -> dict:
    import json

    return json.loads((run.checkpoint() / "card.json").read_text())["metrics"]
