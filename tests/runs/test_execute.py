"""Runs executed in this process, except where a process of its own is the matter."""

import math
import os
import threading
import time
from collections import deque

import pytest
import torch
from filelock import FileLock

from mnist_core.data.loading import load_dataset
from mnist_core.data.splits import split
from mnist_core.models.checkpoint import load_checkpoint, read_card
from mnist_core.runs import run as runs
from mnist_core.runs.commands import Commands
from mnist_core.runs.execute import execute
from mnist_core.runs.run import Run
from mnist_core.training import loop
from mnist_core.training.resume import read_resume
from tests.helpers import until
from tests.helpers.files import encoded, write_folder
from tests.helpers.runs import CONFIG, Killed, created, events, steps, weights, written


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Run:
    """A run that nobody disturbed."""
    run = created(tmp_path_factory.mktemp("whole"))
    execute(run)
    return run


# ---- a run of its own accord ----------------------------------------------------------------------------------------


def test_a_run_leaves_the_files_that_the_contract_names(whole):
    assert whole.status().state == "completed"
    names = {str(path.relative_to(whole.folder)) for path in whole.folder.rglob("*") if path.is_file()}
    assert {
        "config.json",
        "status.json",
        "metrics.jsonl",
        "resume.pt",
        "checkpoints/epoch-003/model.safetensors",
        "checkpoints/epoch-003/card.json",
    } <= names
    assert not [name for name in names if name.endswith(".tmp")]
    assert whole.checkpoint().name == "epoch-003"
    assert not whole.is_executed()
    assert set(read_resume(whole.folder / "resume.pt")) >= {"model", "optimizer", "rng"}


def test_a_runs_events_have_the_contracts_fields(whole):
    found = written(whole)
    assert found == events(whole)
    kinds = [event["event"] for event in found]
    assert kinds == ["start", *(["step"] * 9 + ["epoch"]) * 3, "end"]
    assert steps(found) == list(range(1, 28))
    for event in found:
        if event["event"] == "step":
            assert {"step", "epoch", "loss", "lr", "images_per_second"} <= event.keys()
        if event["event"] == "epoch":
            fields = {"epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds"}
            assert fields <= event.keys()
    assert found[-1]["reason"] == "completed"
    assert {"test_accuracy", "test_loss", "train_seconds"} <= found[-1].keys()


def test_the_cards_figures_equal_those_measured_again(whole):
    checkpoint = load_checkpoint(whole.checkpoint())
    digits = load_dataset("digits")
    with torch.no_grad():
        logits = checkpoint.model(torch.from_numpy(digits.test_images) / 255)
    labels = torch.from_numpy(digits.test_labels)
    right = (logits.argmax(dim=1) == labels).double().mean().item()
    card = checkpoint.card
    assert card.metrics["test_accuracy"] == pytest.approx(right, abs=1e-9)
    assert card.metrics["test_loss"] == pytest.approx(
        torch.nn.functional.cross_entropy(logits, labels).item(), rel=1e-5
    )
    last = [event for event in events(whole) if event["event"] == "epoch"][-1]
    assert card.metrics["val_accuracy"] == last["val_accuracy"]
    assert events(whole)[-1]["test_accuracy"] == card.metrics["test_accuracy"]
    assert (card.name, card.dataset, card.architecture, card.epoch, card.step) == (whole.id, "digits", "mlp", 3, 27)
    assert card.config == CONFIG.replace(preparation="drawing")
    assert 0 < card.train_seconds < 60


def test_one_percent_of_validation_lies_below_the_threshold(whole):
    checkpoint = load_checkpoint(whole.checkpoint())
    digits = load_dataset("digits")
    _, rows = split(digits.train_labels, 0.2, CONFIG.seed)
    with torch.no_grad():
        probabilities = checkpoint.model(torch.from_numpy(digits.train_images[rows]) / 255).softmax(dim=1)
    entropy = -(probabilities * probabilities.log()).nansum(dim=1)
    assert checkpoint.card.refuse_by == "certainty"
    refused = 1 - entropy / math.log(10) < checkpoint.card.refuse_below
    assert 0.0 < refused.double().mean().item() <= 0.01


def test_the_card_has_the_temperature_fitted_on_validation(whole):
    checkpoint = load_checkpoint(whole.checkpoint())
    digits = load_dataset("digits")
    _, rows = split(digits.train_labels, 0.2, CONFIG.seed)
    temperature = checkpoint.card.temperature
    assert temperature != 1.0
    with torch.no_grad():
        logits = checkpoint.model(torch.from_numpy(digits.train_images[rows]) / 255) * temperature
    labels = torch.from_numpy(digits.train_labels[rows])
    losses = [torch.nn.functional.cross_entropy(logits / (temperature * f), labels).item() for f in (0.97, 1, 1.03)]
    assert min(losses) == losses[1]
    # the curve of the training shows the loss before
    last = [event for event in events(whole) if event["event"] == "epoch"][-1]
    assert last["val_loss"] == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item(), rel=1e-4)
    assert losses[1] < last["val_loss"]


def test_the_newest_two_checkpoints_and_the_best_are_kept(tmp_path):
    run = created(tmp_path, epochs=5, keep="best", learning_rate=0.05, schedule="constant", seed=3)
    execute(run)
    epochs = [event for event in events(run) if event["event"] == "epoch"]
    best = max(epochs, key=lambda event: (event["val_accuracy"], -event["val_loss"]))["epoch"]
    assert run.checkpoint().name == f"epoch-{best:03d}"
    kept = {path.name for path in (run.folder / "checkpoints").iterdir()}
    assert kept == {f"epoch-{epoch:03d}" for epoch in {best, 4, 5}}
    assert "test_accuracy" in read_card(run.checkpoint()).metrics


def test_keeping_the_best_goes_by_validation_accuracy_then_loss(tmp_path, monkeypatch):
    given = deque([(0.5, 0.9), (0.4, 0.95), (0.3, 0.95), (0.1, 0.7)])
    monkeypatch.setattr(loop, "loss_and_accuracy", lambda *_: given.popleft())
    run = created(tmp_path, epochs=4, keep="best")
    execute(run)
    assert not given
    assert run.checkpoint().name == "epoch-003"
    assert read_card(run.checkpoint()).metrics["val_loss"] == 0.3


# ---- stop, pause, resume --------------------------------------------------------------------------------------------


def obeying(run: Run, **at: int):
    """A listener that gives each named command once its step is done."""

    def listen(event: dict) -> None:
        for command, number in at.items():
            if event["event"] == "step" and event["step"] == number:
                run.command(command)

    return listen


@pytest.mark.parametrize("stop_at", [1, 13, 18, 27])
def test_a_stopped_run_goes_on_to_the_same_weights_bit_for_bit(tmp_path, whole, stop_at):
    run = created(tmp_path)
    execute(run, on_event=obeying(run, stop=stop_at))
    assert run.status().state == "stopped", run.status().reason
    assert run.checkpoint() is not None
    assert load_checkpoint(run.checkpoint()).card.step == stop_at
    assert written(run)[-1]["reason"] == "stopped"
    assert steps(written(run)) == list(range(1, stop_at + 1))

    run.command("run")
    torch.manual_seed(77)
    execute(run)
    assert run.status().state == "completed", run.status().reason
    mine, theirs = weights(run), weights(whole)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert [e["loss"] for e in events(run) if e["event"] == "step"] == [
        e["loss"] for e in events(whole) if e["event"] == "step"
    ]
    assert [e["event"] for e in events(run)].count("end") == 1
    assert run.checkpoint().name == "epoch-003"


def test_a_stop_before_the_first_step_is_obeyed(tmp_path):
    run = created(tmp_path)
    run.command("stop")
    execute(run)
    assert run.status().state == "stopped"
    assert not (run.folder / "metrics.jsonl").exists()


def test_a_paused_run_waits_and_goes_on(tmp_path, whole):
    run = created(tmp_path)
    thread = threading.Thread(target=execute, args=(run,), kwargs={"on_event": obeying(run, pause=12)})
    thread.start()
    try:
        until(lambda: run.status().state == "paused")
        assert run.is_executed()
        before = written(run)
        time.sleep(0.3)
        assert written(run) == before
        assert steps(before)[-1] == 12
    finally:
        run.command("run")
        thread.join(timeout=60)
    assert run.status().state == "completed"
    assert all(torch.equal(weights(run)[name], tensor) for name, tensor in weights(whole).items())


def test_a_paused_run_can_be_stopped(tmp_path):
    run = created(tmp_path)
    thread = threading.Thread(target=execute, args=(run,), kwargs={"on_event": obeying(run, pause=5)})
    thread.start()
    until(lambda: run.status().state == "paused")
    run.command("stop")
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert run.status().state == "stopped"
    assert steps(written(run))[-1] == 5


def test_a_command_in_the_same_clock_tick_is_not_missed(tmp_path):
    """File times move in steps of up to some milliseconds; two quick clicks may share one."""
    run = created(tmp_path)
    commands = Commands(run)
    for command in ("pause", "run", "stop"):
        run.command(command)
        os.utime(run.folder / "control.json", ns=(10**18, 10**18))
        assert commands.command == command


def killed_at(number: int):
    def listen(event: dict) -> None:
        if event["event"] == "step" and event["step"] == number:
            raise Killed

    return listen


@pytest.mark.parametrize("torn", [b"", b'{"event": "step", "st'])
@pytest.mark.parametrize("at", [4, 13])
def test_a_killed_run_is_resumed_without_doubled_or_lost_steps(tmp_path, whole, at, torn):
    """At 4 nothing was saved yet; at 13 the first epoch was. A kill may tear the line that is being written."""
    run = created(tmp_path)
    with pytest.raises(Killed):
        execute(run, on_event=killed_at(at))
    assert run.status().state == "crashed"
    with (run.folder / "metrics.jsonl").open("ab") as log:
        log.write(torn)
    execute(run)
    assert run.status().state == "completed"
    assert steps(events(run)) == list(range(1, 28))
    assert all(torch.equal(weights(run)[name], tensor) for name, tensor in weights(whole).items())


def test_a_state_of_other_settings_is_refused_in_a_sentence(tmp_path, whole):
    run = created(tmp_path, seed=5)
    (run.folder / "resume.pt").write_bytes((whole.folder / "resume.pt").read_bytes())
    execute(run)
    assert run.status().state == "failed"
    assert "belongs to other settings" in run.status().reason


def test_a_damaged_state_is_a_sentence(tmp_path):
    run = created(tmp_path)
    (run.folder / "resume.pt").write_bytes(b"PK torn")
    execute(run)
    assert run.status().state == "failed"
    assert "cannot be resumed from" in run.status().reason


# ---- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dataset": "nope"}, "There is no dataset 'nope'"),
        ({"model": "nope"}, "There is no model 'nope'"),
        (
            {
                "optimizer": "sgd",
                "learning_rate": 10,
                "activation": "leaky-relu",
                "batch_norm": False,
                "batch_size": 32,
            },
            "no longer a number",
        ),
    ],
)
def test_an_impossible_run_fails_with_a_reason(tmp_path, changes, reason):
    run = created(tmp_path, **changes)
    execute(run)
    status = run.status()
    assert status.state == "failed"
    assert reason in status.reason
    assert status.reason.endswith(".")
    assert "Error" not in status.reason


def test_a_divergence_in_the_last_step_fails_the_run(tmp_path, monkeypatch):
    """The loss of a step is that of the weights before it: only validation sees what the last step did."""
    monkeypatch.setattr(loop, "loss_and_accuracy", lambda *_: (float("nan"), 0.1))
    run = created(tmp_path, epochs=1)
    execute(run)
    assert run.status().state == "failed"
    assert "no longer a number" in run.status().reason
    written(run)


def test_a_damaged_config_is_a_failed_run(tmp_path):
    run = created(tmp_path)
    (run.folder / "config.json").write_text("{")
    execute(run)
    assert run.status().state == "failed"
    assert "damaged" in run.status().reason


def test_an_unexpected_error_is_reported_and_frees_the_slot(tmp_path):
    def fail(_event: dict) -> None:
        raise ZeroDivisionError("by nobody")

    first, second = created(tmp_path), created(tmp_path, epochs=1)
    execute(first, on_event=fail)
    assert first.status().state == "failed"
    assert "ZeroDivisionError: by nobody" in first.status().reason
    execute(second)
    assert second.status().state == "completed"


def test_a_run_held_by_another_process_is_left_alone(tmp_path, monkeypatch):
    class Impatient(FileLock):
        def acquire(self, timeout: float = -1, **options: object):
            return super().acquire(min(timeout, 0.2), **options)

    monkeypatch.setattr(runs, "FileLock", Impatient)
    run = created(tmp_path)
    with FileLock(run.folder / ".worker.lock"):
        before = (run.folder / "status.json").read_bytes()
        execute(run)
    assert (run.folder / "status.json").read_bytes() == before
    assert not (run.folder / "metrics.jsonl").exists()


# ---- several runs, several processes --------------------------------------------------------------------------------


def test_a_second_run_starts_when_the_first_pauses_or_ends(tmp_path):
    first, second = sorted((created(tmp_path), created(tmp_path, epochs=1)), key=lambda run: run.id)
    reached, go = threading.Event(), threading.Event()

    def hold(event: dict) -> None:
        if event["event"] == "step" and event["step"] == 2:
            reached.set()
            assert go.wait(60)

    threads = [
        threading.Thread(target=execute, args=(first,), kwargs={"on_event": hold}),
        threading.Thread(target=execute, args=(second,)),
    ]
    threads[0].start()
    assert reached.wait(60)
    threads[1].start()
    until(second.is_executed)
    time.sleep(0.3)
    assert (first.status().state, second.status().state) == ("running", "queued")
    first.command("pause")
    go.set()
    until(lambda: second.status().state == "completed")
    assert first.status().state == "paused"
    first.command("run")
    for thread in threads:
        thread.join(timeout=60)
    assert first.status().state == "completed"


def test_the_card_says_what_was_left_out_of_the_dataset(tmp_path):
    digits = load_dataset("digits")
    files = {
        f"{int(label)}/{row}.png": encoded(image[0])
        for row, (image, label) in enumerate(zip(digits.train_images[:300], digits.train_labels[:300], strict=True))
    }
    root = write_folder(tmp_path / "set", {**files, "3/broken.png": b"no picture", "4/too.png": b"none"})
    run = created(tmp_path, dataset=f"folder:{root}#unreadable=skip", epochs=1)
    execute(run)
    assert run.status().state == "completed", run.status()
    (said,) = load_checkpoint(run.checkpoint()).card.about.limits
    assert "2 unreadable pictures were left out" in said
