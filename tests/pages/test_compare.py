"""The Compare page through Streamlit's AppTest: without a browser, on a fresh folder, and with things gone wrong."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from scipy import stats
from streamlit.testing.v1 import AppTest

from mnist_core.config import TrainConfig
from mnist_core.experiments.ablation import Factor, create_study, list_studies
from mnist_core.experiments.significance import analyse
from mnist_core.inference.interval import accuracy_interval, interval_text
from mnist_core.recipes import get_recipe
from mnist_core.runs.execute import execute
from mnist_core.runs.queue import Slot
from mnist_core.runs.run import create_run
from tests.helpers import ROOT
from tests.helpers.pages import visit, words


@pytest.fixture(autouse=True)
def _no_mnist(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path / "data"))


@pytest.fixture
def trained():
    """Trains a small run to its end."""

    def train(**settings: object):
        run = create_run(get_recipe("quick").config("digits").replace(epochs=2, **settings))
        execute(run)
        assert run.status().state == "completed"
        return run

    return train


def compare(address: str = "") -> AppTest:
    app = AppTest.from_file(str(ROOT / "home.py"), default_timeout=60).run().switch_page("pages/compare.py")
    if address:
        app.query_params["runs"] = address
    return app.run()


def ablation(query: str = "What one setting changes") -> AppTest:
    app = AppTest.from_file(str(ROOT / "home.py"), default_timeout=60).run().switch_page("pages/compare.py")
    app.query_params["view"] = query
    return app.run()


def widget(kind, label: str):
    return next(one for one in kind if one.label == label)


def test_without_runs_the_page_says_how_to_get_some():
    app = compare()
    assert not app.exception
    assert "no run to compare yet" in words(app)
    assert not app.multiselect


def test_one_run_is_shown_and_a_second_asked_for(trained):
    run = trained()
    app = compare()
    assert not app.exception
    assert "only run so far" in words(app)
    assert widget(app.multiselect, "Runs").value == [run.id]
    assert len(app.dataframe[0].value) == 1


def test_two_runs_stand_in_a_table_of_what_differs(trained):
    plain, dropped = trained(), trained(dropout=0.5)
    app = compare()
    assert not app.exception
    assert not app.error
    table = app.dataframe[0].value
    assert "dropout" in table
    assert "learning_rate" not in table
    by_dropout = dict(zip(table["dropout"], table["test_accuracy"], strict=True))
    for run in (plain, dropped):
        card = json.loads((run.checkpoint() / "card.json").read_text())
        assert by_dropout[run.config().dropout] == card["metrics"]["test_accuracy"]
    for name, part in (("test_accuracy", "test"), ("best_val_accuracy", "val"), ("last_val_accuracy", "val")):
        images = int(card["metrics"][f"{part}_images"])
        shown = [interval_text(accuracy_interval(share, images)) for share in table[name]]
        assert list(table[f"{name}_interval"]) == shown
    assert len(set(table["run"])) == 2, "runs of one second must be told apart"
    assert {button.label for button in app.get("download_button")} == {
        "Table (CSV)",
        "Curves (CSV)",
        "Everything (JSON)",
        "Report (HTML)",
    }
    for kind, label, value in (
        (app.slider, "Smoothing (batches)", 1),
        (app.toggle, "Logarithmic y-axis", True),
    ):
        widget(kind, label).set_value(value).run()
        assert not app.exception
    for axis in ("step", "seconds"):
        widget(app.segmented_control, "Over").set_value(axis).run()
        assert not app.exception
    widget(app.pills, "Measured on").set_value([]).run()
    assert not app.exception


def test_the_address_chooses_and_unknown_runs_are_said(trained):
    first, second = trained(), trained(dropout=0.5)
    trained(dropout=0.25)
    app = compare(f"{second.id},../../etc,{first.id}")
    assert not app.exception
    assert widget(app.multiselect, "Runs").value == [second.id, first.id]
    assert any("There is no run '../../etc'" in warning.value for warning in app.warning)
    widget(app.multiselect, "Runs").set_value([first.id]).run()
    assert app.query_params["runs"] in (first.id, [first.id])
    assert len(app.dataframe[0].value) == 1
    widget(app.multiselect, "Runs").set_value([]).run()
    assert "Choose runs above" in words(app)


def test_at_most_six_lines_are_compared():
    runs = [create_run(TrainConfig(dataset="digits")) for _ in range(8)]  # of one seed, so that each is a line
    app = compare(",".join(run.id for run in runs))
    assert not app.exception
    assert any("6 at a time" in warning.value for warning in app.warning)
    assert len(app.dataframe[0].value) == 6


def test_runs_that_differ_by_seed_alone_are_one_row(trained):
    alike, other = [trained(seed=seed) for seed in (3, 4, 5)], trained(dropout=0.5)
    app = compare(",".join(run.id for run in [*alike, other]))
    assert not app.exception
    grouped, single = (frame.value for frame in app.dataframe)
    assert list(grouped["seeds"]) == ["3 seeds (3–5)", "seed 0"]
    assert list(grouped["dropout"]) == [0.0, 0.5]
    measured = [json.loads((run.checkpoint() / "card.json").read_text())["metrics"]["test_accuracy"] for run in alike]
    low, high = stats.t.interval(0.95, 2, np.mean(measured), stats.sem(measured))
    assert grouped["test"][0] == f"{100 * np.mean(measured):.2f} ± {100 * np.std(measured, ddof=1):.2f} %"
    assert grouped["test, 95 %"][0] == f"{100 * low:.2f}–{100 * min(high, 1):.2f}"
    assert grouped["link"][0] == f"compare?runs={','.join(run.id for run in alike)}"
    assert len(single) == 4
    widget(app.toggle, "Group seeds").set_value(False).run()
    assert not app.exception
    assert len(app.dataframe) == 1
    assert set(app.dataframe[0].value["seed"]) == {0, 3, 4, 5}


def test_a_run_that_was_stopped_early_is_said(trained):
    whole, short = trained(seed=1), trained(seed=2)
    lines = short.metrics_path.read_text().splitlines(keepends=True)
    cut = next(place for place, line in enumerate(lines) if '"epoch"' in line and json.loads(line)["event"] == "epoch")
    short.metrics_path.write_text("".join(lines[: cut + 1]))
    (short.folder / "metrics.columns").unlink()
    short.finish("stopped", "By hand.")
    app = compare(f"{whole.id},{short.id}")
    assert not app.exception
    assert "seed 2 after epoch 1" in words(app)
    assert app.dataframe[0].value["state"][0] == "1 completed, 1 stopped"


def test_a_damaged_run_is_a_sentence_and_the_others_stay(trained):
    good = trained()
    bad, odd = (create_run(TrainConfig(dataset="digits")) for _ in range(2))
    (bad.folder / "config.json").write_text("{")
    (odd.folder / "metrics.jsonl").write_bytes(b'\xff\x00\n{"event":"step","step":"x"}\n{"event":"end"}\n[]\n')
    app = compare(f"{bad.id},{odd.id},{good.id}")
    assert not app.exception
    assert any(bad.id in error.value and "damaged" in error.value for error in app.error)
    assert len(app.dataframe[0].value) == 2
    assert "has measured nothing" in words(app)


def test_a_finished_run_offers_its_command_and_bundle(trained):
    run = trained(dropout=0.5)
    app = visit("pages/train.py", run=run.id)
    assert not app.exception
    assert any("--set dropout=0.5 --set epochs=2" in code.value for code in app.code)
    assert any(button.label == "Download bundle" for button in app.get("download_button"))


# ---- ablation -------------------------------------------------------------------------------------------------------


def study(dropouts: list[float], seeds: list[int]):
    return create_study(get_recipe("quick").config("digits").replace(epochs=2), [Factor("dropout", dropouts)], seeds)


def work(runs) -> None:
    """What a worker does: takes the right to train, then executes."""
    slot = Slot(runs[0].folder.parent)
    for run in runs:
        assert slot.acquire()
        execute(run, slot=slot)


def test_an_ablation_is_planned_started_and_cancelled(monkeypatch, with_workers):
    monkeypatch.setattr("mnist_core.runs.pool.WorkerPool.warm", lambda self: None)  # the runs stay in the queue
    app = ablation()
    assert not app.exception
    assert not app.error
    assert "9 runs" in words(app)
    assert "How long they take is being measured" in words(app)
    monkeypatch.setattr("mnist_core.runs.pool.WorkerPool.settled", lambda self: True)
    app.run()
    assert " s on this machine" in words(app) or " min on this machine" in words(app)
    widget(app.slider, "Seeds").set_value(2)
    widget(app.multiselect, "Dropout: values").set_value(["0", "0.3"]).run()
    assert "4 runs" in words(app)
    widget(app.button, "Start").click().run()
    assert not app.exception
    (made,) = list_studies()
    assert made.settings == [{"dropout": 0.0}, {"dropout": 0.3}]
    assert made.seeds == [0, 1]
    assert widget(app.selectbox, "Ablation").value == made.id
    assert made.progress() == (0, 4)
    widget(app.button, "Cancel").click().run()
    assert not app.exception
    assert made.progress() == (4, 4)
    assert {run.status().state for run in made.all_runs()} == {"stopped"}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [(["0"], "at least two values"), (["0", "2"], "dropout should be"), (["0", "much"], "dropout should be")],
)
def test_an_invalid_plan_is_refused_and_starts_nothing(values, sentence):
    app = ablation()
    widget(app.multiselect, "Dropout: values").set_value(values).run()
    assert not app.exception
    assert any(sentence in error.value for error in app.error)
    assert "Start" not in [button.label for button in app.button]


def test_two_factors_of_every_kind_can_be_planned():
    app = ablation()
    for fields in (["batch_norm", "optimizer"], ["learning_rate", "activation"], ["model", "weight_decay"]):
        widget(app.multiselect, "Settings to vary").set_value(fields).run()
        assert not app.exception
        assert not app.error, [error.value for error in app.error]
    assert "27 runs" in words(app)


def test_results_are_those_of_the_analysis(trained):
    made = study([0.0, 0.5], [0, 1])
    work(made.all_runs()[:3])
    app = ablation()
    assert not app.exception
    assert "3 of 4 runs ended" in app.get("progress")[0].proto.text
    work(made.all_runs()[3:])
    app = ablation()
    assert not app.exception
    analysis = analyse(made)
    table = app.dataframe[0].value
    assert list(table["dropout"]) == [0.0, 0.5]
    first = analysis.settings[0]
    losses = [
        json.loads((run.checkpoint() / "card.json").read_text())["metrics"]["val_loss"]
        for run in (made.run(0, 0), made.run(0, 1))
    ]
    assert table["validation loss"][0] == f"{np.mean(losses):.4f} ± {np.std(losses, ddof=1):.4f}"
    assert first.seeds == [0, 1]
    interval = interval_text(accuracy_interval(first.mean("test_accuracy"), first.images["test_accuracy"]))
    assert table["test accuracy, 95 %"][0] == interval
    assert analysis.comparisons[0].sentence in words(app)


def test_the_reproduced_accuracies_have_their_intervals():
    table = ablation("Earlier systems").dataframe[0].value
    assert len(table)
    assert table["test, 95 %"].str.fullmatch(r"\d\d\.\d\d–\d\d\.\d\d").all()


def test_failed_and_deleted_runs_of_an_ablation_are_said(trained):
    made = study([0.0, 0.5], [0, 1])
    first, second, *rest = made.all_runs()
    shutil.rmtree(first.folder)
    second.finish("failed", "The loss is no longer a number.")
    work(rest)
    app = ablation()
    assert not app.exception
    assert any("no longer a number" in warning.value for warning in app.warning)
    assert "no longer on this machine" in words(app)
