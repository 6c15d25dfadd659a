"""Tiny claims on the built-in digits. Workers work at once and in this process, but for one test with a real one."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from mnist_core.config import TrainConfig
from mnist_core.data.loading import load_dataset
from mnist_core.data.splits import arrange
from mnist_core.errors import ConfigError, RunError, RunFailedError
from mnist_core.experiments import reproduce as module
from mnist_core.experiments.reproduce import (
    CLAIMS,
    KEPT,
    Claim,
    Row,
    chosen_claims,
    load_rows,
    reproduce,
    save_rows,
    table,
)
from mnist_core.models.checkpoint import load_checkpoint
from mnist_core.models.classifier import to_unit
from mnist_core.runs.execute import execute
from mnist_core.runs.history import EventReader
from mnist_core.runs.queue import Queue, Slot
from mnist_core.runs.run import create_run, list_runs
from tests.helpers import strict_json

TINY = Claim("mlp-baseline", "half of them", "digits", {"test_accuracy": 0.5}, settings={"epochs": 2})
# dense layers that pass everything on, without batch norm: the loss overflows within an epoch
WILD = replace(TINY, settings={"optimizer": "sgd", "learning_rate": 10, "activation": "leaky-relu", "batch_size": 32})


class Worker:
    """Stands for WorkerPool: takes the queue's runs as soon as it is asked to."""

    started: list[str]

    def __init__(self, runs_dir: Path, data_dir: Path) -> None:
        self.runs_dir, self.data_dir = runs_dir, data_dir

    def start(self, run) -> None:
        Queue(self.runs_dir).add(run)
        self.warm()

    def warm(self) -> None:
        while (run := Queue(self.runs_dir).next_for_worker()) is not None:
            self.started.append(run.id)
            slot = Slot(self.runs_dir)
            assert slot.acquire()
            execute(run, self.data_dir, slot=slot)

    def close(self) -> None:
        pass


@pytest.fixture
def started(monkeypatch) -> list[str]:
    """The ids of the runs that a worker was given."""
    monkeypatch.setattr(Worker, "started", [], raising=False)
    monkeypatch.setattr(module, "WorkerPool", Worker)
    return Worker.started


def reproduced(folder: Path, claims: list[Claim], seeds: int = 1, **more: object) -> tuple[list[Row], list[str]]:
    return reproduce(claims, range(seeds), folder / "runs", folder / "no-data", **more)


def figures(row: Row) -> dict[str, list[float]]:
    """All that does not depend on the clock."""
    return {metric: values for metric, values in row.measured.items() if metric != "train_seconds"}


def made(recipe: str = "mlp-baseline", **changes: object) -> Row:
    measured = {
        "test_accuracy": [0.97, 0.98, 0.99],
        "test_loss": [0.1, 0.2, 0.3],
        "weighted_f1": [0.9, 0.9, 0.96],
        "batch_mean_loss": [0.001, 0.002, 0.003],
        "val_accuracy": [0.9, 0.9, 0.9],
        "train_seconds": [1.0, 2.0, 3.0],
    }
    row = Row(recipe, "MNIST", "97.42 % test", {}, {}, {}, 109_386, [0, 1, 2], measured, "2 CPU cores", 10_000)
    return replace(row, **changes)


# ---- the claims -----------------------------------------------------------------------------------------------------


def test_every_claim_has_a_config_and_known_measures():
    for claim in CLAIMS:
        config = claim.config(7, claim.dataset)
        assert (config.recipe, config.dataset, config.seed) == (claim.recipe, claim.dataset, 7)
        assert all(getattr(config, name) == value for name, value in claim.settings.items())
        assert {*claim.at_least, *claim.at_most} <= set(made().measured)
    keys = [(claim.recipe, claim.dataset, str(claim.settings)) for claim in CLAIMS]
    assert len(set(keys)) == len(keys)


def test_claims_are_chosen_by_recipe():
    assert chosen_claims() == list(CLAIMS)
    assert [claim.settings for claim in chosen_claims(["three-conv"])] == [{"epochs": 5}, {}]
    with pytest.raises(ConfigError, match=r"'quick' reproduces nothing; these do: .*mlp-baseline"):
        chosen_claims(["mlp-baseline", "quick"])


# ---- training what is missing ---------------------------------------------------------------------------------------


def test_finished_runs_are_read_and_not_trained_again(tmp_path, started):
    seen: list[tuple[int, int]] = []
    (row,), skipped = reproduced(tmp_path, [TINY], 2, progress=lambda *counts: seen.append(counts))
    assert skipped == []
    assert len(started) == len(list_runs(tmp_path / "runs")) == 2
    assert seen[-1] == (4, 4)  # epochs
    configs = [run.config() for run in reversed(list_runs(tmp_path / "runs"))]
    assert sorted(config.seed for config in configs) == [0, 1]
    assert configs[0] == TINY.config(configs[0].seed, "digits")
    started.clear()
    assert reproduced(tmp_path, [TINY], 2) == ([row], [])
    assert started == []
    (more,), _ = reproduced(tmp_path, [TINY], 3)
    assert len(started) == 1
    assert more.measured["test_accuracy"][:2] == row.measured["test_accuracy"]


def test_an_interrupted_run_ends_with_the_same_result(tmp_path, started):
    run = create_run(TINY.config(0, "digits"), tmp_path / "runs")
    execute(run, on_event=lambda event: run.command("stop") if event["event"] == "epoch" else None)
    assert run.status().state == "stopped"
    (row,), _ = reproduced(tmp_path, [TINY])
    assert started == [run.id]
    assert list_runs(tmp_path / "runs") == [run]
    assert next(event["step"] for event in EventReader(run).read() if event["event"] == "resume") > 0
    (whole,), _ = reproduced(tmp_path / "another", [TINY])
    assert figures(row) == figures(whole)


def test_an_interrupt_empties_the_queue_and_the_next_resumes(tmp_path, started, monkeypatch):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "warm", lambda self: None)  # before any worker came
        with pytest.raises(KeyboardInterrupt):
            reproduced(tmp_path, [TINY], 2, progress=interrupt)
    runs = list_runs(tmp_path / "runs")
    assert len(runs) == 2
    assert Queue(tmp_path / "runs").waiting() == []
    (row,), _ = reproduced(tmp_path, [TINY], 2)
    assert sorted(started) == sorted(run.id for run in runs)
    assert row.seeds == [0, 1]


@pytest.mark.timeout(60)  # it would wait for ever
def test_a_run_that_waits_since_an_earlier_day_is_executed(tmp_path, started):
    run = create_run(TINY.config(0, "digits"), tmp_path / "runs")
    Queue(tmp_path / "runs").add(run)  # by a process that is gone
    reproduced(tmp_path, [TINY])
    assert started == [run.id]


def test_a_run_of_other_settings_or_a_damaged_one_is_not_taken(tmp_path, started):
    other = create_run(TINY.config(0, "digits").replace(dropout=0.1), tmp_path / "runs")
    damaged = create_run(TINY.config(0, "digits"), tmp_path / "runs")
    damaged.config_path.write_text("{")
    reproduced(tmp_path, [TINY])
    assert len(started) == 1
    assert not {other.id, damaged.id} & set(started)


def test_a_failed_run_is_reported_and_begun_again_next_time(tmp_path, started):
    for count in (1, 2):
        with pytest.raises(RunFailedError, match=r"The run \S+ is failed\. The loss is no longer a number"):
            reproduced(tmp_path, [WILD])
        assert len(list_runs(tmp_path / "runs")) == len(set(started)) == count


def test_a_complete_run_without_its_checkpoint_says_what_to_do(tmp_path, started):
    run = create_run(TINY.config(0, "digits"), tmp_path / "runs")
    run.finish("completed")
    with pytest.raises(RunError, match=f"{run.id} .* delete it"):
        reproduced(tmp_path, [TINY])


def test_a_dataset_that_is_not_there_is_skipped_with_a_sentence(tmp_path, started):
    on_mnist, on_cifar = replace(TINY, dataset="mnist"), replace(TINY, dataset="cifar10")
    rows, skipped = reproduced(tmp_path, [on_mnist, TINY, on_cifar], cifar10="folder:nowhere")
    assert [row.dataset for row in rows] == ["digits"]
    assert len(started) == 1
    assert skipped[0].startswith("mlp-baseline on mnist: MNIST is not in")
    assert skipped[1].startswith("mlp-baseline on cifar10: There is nothing at 'nowhere'")
    assert "--" in table(reproduced(tmp_path, [on_mnist])[0])  # a table without rows


def test_another_dataset_may_stand_for_cifar10(tmp_path, started):
    (row,), skipped = reproduced(tmp_path, [replace(TINY, dataset="cifar10")], cifar10="digits")
    assert (row.dataset, skipped) == ("digits", [])


# ---- measuring ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["official", "pooled"])
def test_what_is_measured_is_computed_by_hand(tmp_path, started, split):
    settings = {"epochs": 2, "split": split, "validation_fraction": 0.2}
    (row,), _ = reproduced(tmp_path, [replace(TINY, settings=settings)])
    (run,) = list_runs(tmp_path / "runs")
    checkpoint, digits = load_checkpoint(run.checkpoint()), load_dataset("digits")
    data = arrange(digits, run.config())
    assert len(data.test_labels) == {"official": 360, "pooled": 180}[split]
    with torch.no_grad():
        calibrated = checkpoint.model(to_unit(data.test_images)).double().numpy()
    assert checkpoint.card.temperature != 1
    logits = calibrated * checkpoint.card.temperature  # the earlier systems had none
    labels = data.test_labels
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]
    answers = logits.argmax(axis=1)
    means = [losses[start : start + 64].mean() for start in range(0, len(labels), 64)]  # the last of fewer
    assert row.measured["batch_mean_loss"] == [pytest.approx(sum(means) / len(labels), rel=1e-5)]
    assert row.measured["test_loss"] == [pytest.approx(losses.mean(), rel=1e-5)]
    assert row.measured["test_accuracy"] == [pytest.approx((answers == labels).mean())]
    assert row.measured["weighted_f1"] == [pytest.approx(f1_score(labels, answers, average="weighted"))]
    end = EventReader(run).read()[-1]
    assert row.measured["test_accuracy"] == [pytest.approx(end["test_accuracy"])]
    assert row.measured["val_accuracy"] == [end["val_accuracy"]]
    assert row.measured["train_seconds"] == [pytest.approx(end["train_seconds"], abs=0.002)]
    assert row.parameters == 109_386
    assert row.outcome == "met"


@pytest.mark.parametrize(
    ("at_least", "at_most", "outcome"),
    [
        ({}, {}, "no figure"),
        ({"test_accuracy": 0.979}, {}, "met"),  # the mean, not the lowest, which is 0.97
        ({"test_accuracy": 0.981}, {}, "missed"),
        ({}, {"batch_mean_loss": 0.0021}, "met"),
        ({}, {"batch_mean_loss": 0.0019}, "missed"),
        ({"test_accuracy": 0.979}, {"batch_mean_loss": 0.0019}, "missed"),
        ({"test_accuracy": 0.981}, {"batch_mean_loss": 0.0021}, "missed"),
        ({"test_accuracy": 0.9, "weighted_f1": 0.93}, {}, "missed"),
    ],
)
def test_the_outcome_compares_the_mean_with_every_bound(at_least, at_most, outcome):
    assert made(at_least=at_least, at_most=at_most).outcome == outcome


def test_mean_and_deviation_are_numpys():
    row = made()
    for metric, values in row.measured.items():
        assert row.mean(metric) == pytest.approx(np.mean(values))
        assert row.std(metric) == pytest.approx(np.std(values, ddof=1))
    assert made(seeds=[0], measured={"test_accuracy": [0.97]}).std("test_accuracy") == 0


# ---- keeping --------------------------------------------------------------------------------------------------------


def test_rows_are_read_back_as_they_were(tmp_path, started):
    rows, _ = reproduced(tmp_path, [replace(TINY, at_most={"batch_mean_loss": 0.1})], 2)
    rows = [made(settings={"epochs": 5, "batch_norm": True}), *rows]
    save_rows(rows, tmp_path / "rows.json")
    assert load_rows(tmp_path / "rows.json") == rows


def test_saving_replaces_rows_of_the_same_claim_only(tmp_path):
    path = tmp_path / "rows.json"
    mlp, short, long = made(), made("three-conv", settings={"epochs": 5}), made("three-conv")
    save_rows([mlp, short, long], path)
    assert [row.recipe for row in load_rows(path)] == ["three-conv", "three-conv", "mlp-baseline"]  # as in CLAIMS
    again, elsewhere = made("three-conv", machine="a GPU"), made(dataset="digits")
    save_rows([again, elsewhere, made("unknown")], path)
    assert load_rows(path) == [short, again, mlp, elsewhere, made("unknown")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "7",
        '"rows"',
        '{"rows": []}',
        "[1]",
        '[{"recipe": "x"}]',
        json.dumps([{**vars(made()), "measured": "good"}]),
        json.dumps([{**vars(made()), "seeds": None}]),
    ],
)
def test_a_table_that_is_damaged_or_not_there_is_empty(tmp_path, text):
    assert load_rows(tmp_path / "rows.json") == []
    (tmp_path / "rows.json").write_text(text)
    assert load_rows(tmp_path / "rows.json") == []


def test_the_table_tells_claim_mean_deviation_and_outcome():
    rows = [made(at_least={"test_accuracy": 0.9742}), made("three-conv", settings={"epochs": 5}, machine="a GPU")]
    lines = table(rows).splitlines()
    assert lines[2] == (
        "| `mlp-baseline` | MNIST | 97.42 % test | 98.00% ± 1.00% (3 seeds) | 97.71–98.26 | 0.9200 | 0.00200 "
        "| 109,386 | 2 | met |"
    )
    assert lines[3].startswith("| `three-conv`, epochs 5 | MNIST |")
    assert lines[3].endswith("| no figure |")
    assert {line.count("|") for line in lines[:4]} == {11}
    assert "batches of 64" in lines[-2]
    assert "Trained on: 2 CPU cores; a GPU." in lines[-2]


def test_the_table_that_is_kept_here_is_of_claims_there_are():
    rows = load_rows()
    assert bool(rows) == KEPT.is_file()
    claims = {(claim.recipe, str(claim.settings)) for claim in CLAIMS}
    for row in rows:
        assert (row.recipe, str(row.settings)) in claims
        assert {len(values) for values in row.measured.values()} == {len(row.seeds)}
        assert all(math.isfinite(value) for values in row.measured.values() for value in values)
        assert row.test_images is not None
        rights = [accuracy * row.test_images for accuracy in row.measured["test_accuracy"]]
        assert rights == pytest.approx([round(right) for right in rights], abs=1e-3)  # that number is the right one


def test_a_row_of_an_earlier_version_has_no_interval():
    row = made(test_images=None)
    assert row.interval == ""
    assert "| – |" in table([row])


# ---- on the command line --------------------------------------------------------------------------------------------


def test_the_command_line_reproduces_with_a_worker_process(ask, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "CLAIMS", (TINY, replace(TINY, dataset="mnist")))
    here = ["--runs-dir", str(tmp_path / "mine"), "--data-dir", str(tmp_path), "--keep", str(tmp_path / "rows.json")]
    status, out, err = ask("reproduce", "--recipes", "mlp-baseline", "--seeds", "1", *here, "--json")
    assert status == 0, err
    assert "skipped: mlp-baseline on mnist: MNIST is not in" in err
    (line,) = out.splitlines()
    found = strict_json(line)
    assert len(found["skipped"]) == 1
    (row,) = found["rows"]
    assert (row.pop("outcome"), row["seeds"], row["dataset"]) == ("met", [0], "digits")
    assert load_rows(tmp_path / "rows.json") == [Row(**row)]
    (run,) = list_runs(tmp_path / "mine")
    assert run.config() == TrainConfig(**TINY.config(0, "digits").model_dump())
    status, out, _ = ask("reproduce", "--seeds", "1", *here)
    assert status == 0
    assert out.startswith("| recipe |")
    assert list_runs(tmp_path / "mine") == [run]


def test_a_training_that_fails_is_status_1(ask, monkeypatch, started, tmp_path):
    monkeypatch.setattr(module, "CLAIMS", (WILD,))
    status, out, err = ask("reproduce", "--seeds", "1", "--runs-dir", str(tmp_path / "mine"))
    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith("failed: The run ")
    assert "Traceback" not in err


def test_rows_that_cannot_be_kept_are_told_all_the_same(ask, monkeypatch, started, tmp_path):
    monkeypatch.setattr(module, "CLAIMS", (TINY,))
    status, out, err = ask("reproduce", "--seeds", "1", "--keep", str(tmp_path), "--json")
    assert status == 1
    assert len(strict_json(out)["rows"]) == 1
    assert f"failed: The rows cannot be written to {tmp_path}" in err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--recipes", "nope"], "'nope' reproduces nothing"),
        (["--recipes", "mlp-baseline,quick"], "'quick' reproduces nothing"),
        (["--recipes", "mlp-baseline,"], "'' reproduces nothing"),
        (["--seeds", "0"], "from 1 to 100"),
        (["--seeds", "-1"], "from 1 to 100"),
        (["--seeds", "101"], "from 1 to 100"),
        (["--seeds", "three"], "--seeds"),
        (["--keep", "no/such/folder/rows.json"], "--keep"),
        (["extra"], "extra"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_request_is_one_line_and_leaves_no_run(refused, arguments, named, tmp_path):
    assert named in refused("reproduce", *arguments)
    assert not (tmp_path / "runs").exists()


def test_a_run_that_was_changed_on_the_way_reproduces_nothing(tmp_path):
    config = TrainConfig(dataset="digits")
    run = create_run(config, tmp_path)
    assert module.find_or_create_run(config, tmp_path) == run
    change = {"event": "change", "step": 3, "field": "dropout", "from": 0.0, "to": 0.5, "asked": 1}
    run.metrics_path.write_text(json.dumps(change) + "\n")
    assert module.find_or_create_run(config, tmp_path) != run


def test_of_a_single_seed_there_is_no_deviation():
    measured = {name: values[:1] for name, values in made().measured.items()}
    assert replace(made(), seeds=[0], measured=measured).accuracy == f"{measured['test_accuracy'][0]:.2%} (1 seed)"
