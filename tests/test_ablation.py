"""Studies of runs whose events are written here by hand, so that every figure can be computed beside them."""

import json
import math
import shutil

import numpy as np
import pytest
from scipy import stats

from mnist_core.ablation import (
    STUDIES_FOLDER,
    Factor,
    Study,
    _holm,
    analyse,
    create_study,
    list_studies,
    open_study,
    plan,
    setting_label,
)
from mnist_core.config import TrainConfig
from mnist_core.errors import ConfigError, RunError
from mnist_core.queue import Queue
from mnist_core.runs import Run, runs_folder

BASE = TrainConfig(recipe="quick", dataset="digits", model="mlp", epochs=2)
DROPOUT = Factor("dropout", [0.0, 0.25, 0.5])
NORM = Factor("batch_norm", [True, False])


def study(values: list[float], seeds: list[int]) -> Study:
    return create_study(BASE, [Factor("dropout", values)], seeds)


def finish(run: Run, val_loss: float, test_accuracy: float = 0.9, first_loss: float = 1.0) -> None:
    """Writes what a worker would have written of two epochs and a completed run."""
    events = [
        {"event": "start", "step": 0, "steps_per_epoch": 4},
        {"event": "epoch", "epoch": 1, "train_loss": 1.5, "val_loss": first_loss, "val_accuracy": 0.5, "seconds": 1},
        {"event": "epoch", "epoch": 2, "train_loss": 0.5, "val_loss": val_loss, "val_accuracy": 0.8, "seconds": 1},
        {"event": "end", "reason": "completed", "step": 8, "test_accuracy": test_accuracy},
    ]
    write(run, events)


def write(run: Run, events: list[dict], state: str = "completed") -> None:
    (run.folder / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    run.finish(state)


def finish_all(made: Study, losses: list[list[float]]) -> None:
    """`losses[i][k]` of setting i and seed number k."""
    for setting, row in enumerate(losses):
        for seed, loss in enumerate(row):
            finish(made.run(setting, seed), loss)


# ---- planning -------------------------------------------------------------------------------------------------------


def test_a_plan_is_every_combination_seed_by_seed():
    configs = plan(BASE, [DROPOUT, NORM], [3, 1])
    settings = [(0.0, True), (0.0, False), (0.25, True), (0.25, False), (0.5, True), (0.5, False)]
    assert [(c.dropout, c.batch_norm) for c in configs] == settings * 2
    assert [c.seed for c in configs] == [3] * 6 + [1] * 6
    untouched = {"dropout", "batch_norm", "seed"}
    assert all(c.model_dump(exclude=untouched) == BASE.model_dump(exclude=untouched) for c in configs)


@pytest.mark.parametrize(
    ("factors", "seeds", "sentence"),
    [
        ([], [0], "at least two values"),
        ([Factor("dropout", [0.1])], [0], "at least two values"),
        ([DROPOUT, Factor("batch_norm", [True])], [0], "at least two values"),
        ([DROPOUT, DROPOUT], [0], "differ from each other"),
        ([Factor("seed", [1, 2])], [0], "seeds are given apart"),
        ([Factor("dropout", [0.1, 0.2, 0.1])], [0], "each value of a setting once"),
        ([DROPOUT], [], "at least one seed"),
        ([DROPOUT], [1, 2, 1], "each of them once"),
        ([DROPOUT], range(67), "201 runs; 200 at most"),
        ([Factor("dropout", [0.1, 2])], [0], "dropout should be"),
        ([Factor("dropout", [0.1, "much"])], [0], "dropout should be"),
        ([Factor("nothing", [1, 2])], [0], "no setting 'nothing'"),
        ([DROPOUT], [-1], "seed should be"),
    ],
)
def test_a_plan_that_makes_no_sense_is_a_sentence_and_leaves_nothing(factors, seeds, sentence):
    with pytest.raises(ConfigError, match=sentence):
        create_study(BASE, factors, seeds)
    assert not runs_folder().exists()


def test_two_hundred_runs_are_not_too_many():
    assert len(plan(BASE, [NORM], range(100))) == 200


def test_a_setting_is_said_as_a_person_says_it():
    assert (
        setting_label({"dropout": 0.25, "batch_norm": True, "l2_first": 0}) == "dropout 0.25, batch norm on, l2 first 0"
    )
    assert setting_label({"flip": False, "model": "mlp"}) == "flip off, model mlp"


# ---- keeping --------------------------------------------------------------------------------------------------------


def test_a_study_is_found_again_as_it_was_made():
    made = create_study(BASE, [DROPOUT, NORM], [5, 2])
    assert open_study(made.id) == made
    assert list_studies() == [made]
    assert made.title == "dropout and batch norm on quick"
    assert made.settings[0] == {"dropout": 0.0, "batch_norm": True}
    assert len(made.settings) == 6
    for setting, values in enumerate(made.settings):
        for place, seed in enumerate([5, 2]):
            assert made.run(setting, place).config() == BASE.replace(**values, seed=seed)


def test_runs_are_queued_seed_by_seed():
    made = study([0.0, 0.5], [0, 1])
    waiting = [(run.config().dropout, run.config().seed) for run in Queue(made.runs_dir).waiting()]
    assert waiting == [(0.0, 0), (0.5, 0), (0.0, 1), (0.5, 1)]
    assert made.progress() == (0, 4)


def test_the_newest_study_is_first(monkeypatch):
    monkeypatch.setattr("time.strftime", lambda form: "20200101-000000")
    old = study([0.0, 0.5], [0])
    monkeypatch.setattr("time.strftime", lambda form: "20210101-000000")
    new = study([0.0, 0.1], [0])
    assert [one.id for one in list_studies()] == [new.id, old.id]


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "nope", "20200101-000000-abcd", "20200101-000000-abcd/../../x", "x" * 300]
)
def test_a_study_that_is_not_there_is_a_sentence(name):
    study([0.0, 0.5], [0])
    with pytest.raises(RunError, match=r"There is no ablation|is not there"):
        open_study(name)


def removed(name: str):
    return lambda content: {key: value for key, value in content.items() if key != name}


def changed(**values: object):
    return lambda content: {**content, **values}


@pytest.mark.parametrize(
    "damage",
    [
        *(pytest.param(removed(name), id=f"no {name}") for name in ("title", "base", "factors", "seeds", "runs")),
        pytest.param(lambda content: [content], id="a list"),
        pytest.param(lambda content: None, id="null"),
        pytest.param(changed(title=None), id="no words"),
        pytest.param(changed(base={"dropout": 7}), id="an impossible base"),
        pytest.param(changed(base=[]), id="a base that is no object"),
        pytest.param(changed(factors=[]), id="no factors"),
        pytest.param(changed(factors=[{"field": "dropout"}]), id="a factor without values"),
        pytest.param(changed(factors=[{"field": "dropout", "values": 3}]), id="values that are no list"),
        pytest.param(changed(factors=[{"field": "dropout", "values": [{}, 0.5]}]), id="a value that is an object"),
        pytest.param(changed(factors=[{"field": "nope", "values": [0, 1]}]), id="an unknown setting"),
        pytest.param(changed(seeds=["x", "y"]), id="seeds in words"),
        pytest.param(changed(seeds=[0]), id="fewer seeds than runs"),
        pytest.param(changed(seeds="01"), id="seeds in a string"),
        pytest.param(changed(runs=[["a", "b"]]), id="a setting short"),
        pytest.param(changed(runs=[["a", "b"], ["c"]]), id="a run short"),
        pytest.param(changed(runs=[["a", "b"], ["c", 4]]), id="a run that is no name"),
        pytest.param(changed(runs=["ab", "cd"]), id="runs in strings"),
        pytest.param(changed(runs=7), id="runs a number"),
    ],
)
def test_a_damaged_study_is_a_sentence_and_left_out_of_the_list(damage):
    whole, damaged = study([0.0, 0.1], [0]), study([0.0, 0.5], [0, 1])
    path = damaged.runs_dir / STUDIES_FOLDER / f"{damaged.id}.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(damage(content)))
    with pytest.raises(RunError, match=f"{damaged.id} is not there, or its file is damaged"):
        open_study(damaged.id)
    assert list_studies() == [whole]
    path.write_text(json.dumps(content)[:-9])
    assert list_studies() == [whole]


def test_a_run_id_never_becomes_a_path(tmp_path):
    made = study([0.0, 0.5], [0])
    shutil.copytree(made.run(0, 0).folder, tmp_path / "outside")
    path = made.runs_dir / STUDIES_FOLDER / f"{made.id}.json"
    content = json.loads(path.read_text()) | {"runs": [["../outside"], [made.runs[1][0]]]}
    path.write_text(json.dumps(content))
    assert open_study(made.id).run(0, 0) is None
    assert open_study(made.id).run(1, 0) == made.run(1, 0)


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot be written"):
        create_study(BASE, [NORM], [0], tmp_path / "file")


# ---- progress and cancelling ----------------------------------------------------------------------------------------


def test_progress_counts_what_ended_however_it_did():
    made = study([0.0, 0.5], [0, 1])
    done, failed, gone, waiting = (made.run(*pair) for pair in ((0, 0), (0, 1), (1, 0), (1, 1)))
    finish(done, 0.1)
    failed.finish("failed", "The loss is no longer a number.")
    shutil.rmtree(gone.folder)
    assert made.progress() == (3, 4)
    assert made.run(1, 0) is None
    assert made.all_runs() == [done, failed, waiting]


def test_cancelling_empties_the_queue_and_stops_the_one_that_trains():
    made = study([0.0, 0.5], [0, 1])
    done, training, *waiting = (made.run(*pair) for pair in ((0, 0), (1, 0), (0, 1), (1, 1)))
    for run in (done, training):
        Queue(made.runs_dir).remove(run)
    finish(done, 0.1)
    training.set_status("running")
    with training.lock:  # or nobody would believe that it runs
        made.cancel()
        assert training.commanded() == "stop"
        assert training.status().state == "running"  # until its process obeys
    assert [run.status().state for run in waiting] == ["stopped", "stopped"]
    assert Queue(made.runs_dir).waiting() == []
    assert (done.status().state, done.commanded()) == ("completed", "run")


# ---- figures --------------------------------------------------------------------------------------------------------


def test_means_and_deviations_are_numpys_over_the_finished_seeds():
    made = study([0.0, 0.5], [0, 1, 2])
    losses = [[0.30, 0.32, 0.37], [0.20, 0.25, 0.24]]
    finish_all(made, losses)
    for result, row in zip(analyse(made).settings, losses, strict=True):
        assert result.seeds == [0, 1, 2]
        assert result.values["val_loss"] == row
        assert result.mean("val_loss") == pytest.approx(np.mean(row))
        assert result.std("val_loss") == pytest.approx(np.std(row, ddof=1))
        assert (result.mean("train_loss"), result.std("train_loss")) == (0.5, 0)
        assert (result.mean("val_accuracy"), result.mean("test_accuracy")) == pytest.approx((0.8, 0.9))
        assert result.curve_x.tolist() == [1, 2]
        assert result.curve.tolist() == [[1.0, loss] for loss in row]


def test_what_is_unfinished_deleted_or_damaged_is_left_out():
    made = study([0.0, 0.5], [0, 1, 2, 3, 4, 5])
    finish_all(made, [[0.3, 0.4, 0.5, 0.6, 0.7, 0.8]])
    finish(made.run(1, 0), 0.2)
    shutil.rmtree(made.run(1, 1).folder)
    finish(made.run(1, 2), 0.2)
    made.run(1, 2).finish("stopped")  # its events tell of an end all the same
    write(made.run(1, 3), [])
    end = {"event": "end", "test_accuracy": 0.9}
    write(made.run(1, 4), [{"event": "epoch", "train_loss": 1.0, "val_loss": None, "val_accuracy": "good"}, end])
    whole = {"event": "epoch", "train_loss": 1.0, "val_loss": 1.0, "val_accuracy": 1.0}
    write(made.run(1, 5), [whole, {"event": "end", "test_accuracy": math.nan}])
    analysis = analyse(made)
    assert [result.seeds for result in analysis.settings] == [[0, 1, 2, 3, 4, 5], [0]]
    (comparison,) = analysis.comparisons
    assert comparison.seeds == 1
    assert comparison.difference == pytest.approx(-0.1)
    assert "too few seeds" in comparison.sentence
    assert not comparison.beyond_noise


def test_a_study_without_any_finished_run_has_no_figures():
    analysis = analyse(study([0.0, 0.5], [0, 1]))
    result, (comparison,) = analysis.settings[0], analysis.comparisons
    assert (result.seeds, result.curve.shape) == ([], (0, 0))
    assert math.isnan(result.mean("val_loss"))
    assert math.isnan(result.std("val_loss"))
    assert "too few seeds" in comparison.sentence


def test_curves_of_unequal_length_end_with_the_shortest():
    made = study([0.0, 0.5], [0, 1])
    finish_all(made, [[0.3, 0.4]])
    events = (made.run(0, 0).folder / "metrics.jsonl").read_text().splitlines()
    write(made.run(0, 0), [json.loads(line) for line in (events[0], events[1], events[3])])
    assert analyse(made).settings[0].curve.tolist() == [[1.0], [1.0]]


# ---- tests ----------------------------------------------------------------------------------------------------------


def test_a_comparison_is_scipys_paired_t_test_over_the_shared_seeds():
    made = study([0.0, 0.5, 0.25], [0, 1, 2, 3, 4])
    random = np.random.default_rng(0)
    losses = random.normal(0.4, 0.05, (3, 5)) - [[0], [0.1], [0]]
    finish_all(made, losses.tolist())
    made.run(0, 1).finish("failed")
    made.run(1, 4).finish("failed")
    first, second = analyse(made).comparisons
    raw = []
    for comparison, index, shared in ((first, 1, [0, 2, 3]), (second, 2, [0, 2, 3, 4])):
        expected = stats.ttest_rel(losses[index, shared], losses[0, shared])
        interval = expected.confidence_interval(0.95)
        assert comparison.seeds == len(shared)
        assert comparison.difference == pytest.approx((losses[index, shared] - losses[0, shared]).mean())
        assert (comparison.low, comparison.high) == pytest.approx((interval.low, interval.high))
        assert comparison.p == pytest.approx(expected.pvalue)
        raw.append(expected.pvalue)
    # Holm for two: the smaller doubled, the larger at least that
    smaller = min(1, 2 * min(raw))
    for comparison, p in zip((first, second), raw, strict=True):
        assert comparison.p_corrected == pytest.approx(smaller if p == min(raw) else max(smaller, p))
        assert comparison.beyond_noise == (comparison.p_corrected < 0.05)


def test_a_t_test_by_hand():
    # differences 1, 2, 3: mean 2, deviation 1, t = 2√3; with 2 degrees of freedom p = 1 - t / √(t² + 2)
    made = study([0.0, 0.5], [7, 8, 9])
    finish_all(made, [[1.0, 1.5, 0.5], [2.0, 3.5, 3.5]])
    (comparison,) = analyse(made).comparisons
    assert comparison.difference == pytest.approx(2)
    assert comparison.p == comparison.p_corrected == pytest.approx(1 - math.sqrt(12 / 14))
    half = 4.302653 / math.sqrt(3)  # Student's t for 95 % and 2 degrees of freedom, from a printed table
    assert (comparison.low, comparison.high) == pytest.approx((2 - half, 2 + half), rel=1e-6)
    assert comparison.sentence == (
        "dropout 0.5 against dropout 0.0: validation loss +2.0000 (95 % interval -0.4841 to +4.4841; paired t-test "
        "over 3 seeds, p = 0.074 after Holm's correction): not more than seed noise."
    )


def test_accuracies_are_told_in_points():
    made = study([0.0, 0.5], [0, 1, 2])
    for seed, (one, other) in enumerate([(0.90, 0.95), (0.91, 0.9601), (0.92, 0.9699)]):
        finish(made.run(0, seed), 0.3, one)
        finish(made.run(1, seed), 0.3, other)
    (comparison,) = analyse(made, "test_accuracy").comparisons
    assert comparison.beyond_noise
    assert "test accuracy +5.00 points (95 % interval" in comparison.sentence
    assert comparison.sentence.endswith("after Holm's correction): more than seed noise.")


@pytest.mark.parametrize(
    ("others", "amount"),
    [([0.3, 0.4, 0.7], "+0.0000"), ([0.4, 0.5, 0.8], "+0.1000")],
    ids=["equal", "a constant apart"],
)
def test_differences_without_spread_are_told_and_not_tested(others, amount):
    made = study([0.0, 0.5], [0, 1, 2])
    finish_all(made, [[0.3, 0.4, 0.7], others])
    (comparison,) = analyse(made).comparisons
    assert math.isnan(comparison.p)
    assert not comparison.beyond_noise
    assert f"validation loss {amount} with each of 3 seeds" in comparison.sentence
    assert "too few" not in comparison.sentence
    assert "nan" not in comparison.sentence


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # 0.01 × 3; 0.03 × 2; 0.04 × 1, yet not below the one before
        ([0.5, 0.6], [1.0, 1.0]),
        ([math.nan, 0.02, 0.03], [math.nan, 0.04, 0.04]),
        ([0.04], [0.04]),
        ([], []),
    ],
)
def test_holms_correction_by_hand(p_values, corrected):
    assert _holm(p_values) == pytest.approx(corrected, nan_ok=True)
