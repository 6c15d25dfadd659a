"""Studies of runs whose events are written here by hand, so that every figure can be computed beside them."""

import json
import shutil

import pytest

from mnist_core.errors import ConfigError, RunError
from mnist_core.experiments.ablation import (
    STUDIES_FOLDER,
    Factor,
    create_study,
    list_studies,
    open_study,
    plan,
    setting_label,
)
from mnist_core.runs.queue import Queue
from mnist_core.system.settings import runs_folder
from tests.helpers.studies import BASE, finish, study

DROPOUT = Factor("dropout", [0.0, 0.25, 0.5])
NORM = Factor("batch_norm", [True, False])


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
def test_an_invalid_plan_is_refused_and_leaves_nothing(factors, seeds, sentence):
    with pytest.raises(ConfigError, match=sentence):
        create_study(BASE, factors, seeds)
    assert not runs_folder().exists()


def test_two_hundred_runs_are_not_too_many():
    assert len(plan(BASE, [NORM], range(100))) == 200


def test_a_setting_has_a_readable_label():
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


def test_cancelling_empties_the_queue_and_stops_training():
    made = study([0.0, 0.5], [0, 1])
    done, training, *waiting = (made.run(*pair) for pair in ((0, 0), (1, 0), (0, 1), (1, 1)))
    for run in (done, training):
        Queue(made.runs_dir).remove(run)
    finish(done, 0.1)
    training.set_status("running")
    with training.lock:  # or nobody would believe that it runs
        for run in made.all_runs():
            Queue(made.runs_dir).stop(run)
        assert training.control().command == "stop"
        assert training.status().state == "running"  # until its process obeys
    assert [run.status().state for run in waiting] == ["stopped", "stopped"]
    assert Queue(made.runs_dir).waiting() == []
    assert (done.status().state, done.control().command) == ("completed", "run")
