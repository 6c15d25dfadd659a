"""What a running training is told: steps, changes of settings, and early stopping, through the worker."""

import json
import math
import threading
from collections import deque

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from mnist_core.data.loading import load_dataset
from mnist_core.data.splits import arrange
from mnist_core.errors import ConfigError, RunError
from mnist_core.models.architectures import MODELS, ModelSpec
from mnist_core.models.checkpoint import load_checkpoint, read_card
from mnist_core.runs.checkpointing import evaluate_stopped_run
from mnist_core.runs.commands import Steps
from mnist_core.runs.control import Control, read_control
from mnist_core.runs.execute import execute
from mnist_core.runs.history import EventReader, HistoryReader, changes
from mnist_core.runs.run import Run
from mnist_core.training import loop
from mnist_core.training.changes import change_label, changed_config
from mnist_core.training.loop import train
from mnist_core.training.resume import load_resume, save_resume
from mnist_core.training.state import TrainState
from tests.helpers import until
from tests.helpers.runs import CONFIG, Killed, created, events, steps, weights, written


def started(run: Run, on_event=None) -> threading.Thread:
    thread = threading.Thread(target=execute, args=(run,), kwargs={"on_event": on_event})
    thread.start()
    return thread


def at(number: int, do):
    """A listener that does something once step `number` is done."""

    def listen(event: dict) -> None:
        if event["event"] == "step" and event["step"] == number:
            do()

    return listen


def is_paused(run: Run, after: int):
    return lambda: run.status().state == "paused" and steps(written(run))[-1] >= after


# ---- the file -------------------------------------------------------------------------------------------------------


def test_requests_keep_their_order_and_a_command_ends_steps(tmp_path):
    run = created(tmp_path)
    for kind in ("batch", "epoch", "batch"):
        run.step(kind)
    run.change(learning_rate=0.01)
    control = run.control()
    assert control.command == "pause"
    assert [kind for _, kind in control.steps] == ["batch", "epoch", "batch"]
    numbers = [number for number, _ in control.steps + control.changes]
    assert numbers == sorted(set(numbers))
    run.command("run")
    assert run.control() == Control("run", (), control.changes)


def test_concurrent_requests_are_all_kept(tmp_path):
    run = created(tmp_path)
    threads = [threading.Thread(target=lambda: [run.step() for _ in range(5)]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({number for number, _ in run.control().steps}) == 30


@pytest.mark.parametrize(
    "content",
    [
        '{"command": "pause", "steps": 7, "changes": {"a": 1}}',
        '{"command": "pause", "steps": [[true, "batch"], [1, "mile"], [1], "batch", [1.5, "batch"]]}',
        '{"command": "pause", "changes": [[1, 2], [null, {}]]}',
    ],
)
def test_invalid_entries_are_ignored(tmp_path, content):
    run = created(tmp_path)
    (run.folder / "control.json").write_text(content)
    assert read_control(run.folder) == Control("pause")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"learning_rate": 100}, "learning_rate should be"),
        ({"dropout": 0.95}, "allowed: 0 to 0.9"),
        ({"erasing": 1.5}, "erasing should be"),
        ({"epochs": 5}, "'epochs' cannot be changed while a training runs"),
        ({"<b>": 5}, "cannot be changed while a training runs"),
    ],
)
def test_an_impossible_change_is_refused_and_not_recorded(tmp_path, wanted, said):
    run = created(tmp_path)
    with pytest.raises(ConfigError, match=said):
        run.change(**wanted)
    assert run.control() == Control()


def test_a_network_without_dropout_layers_says_so(tmp_path, monkeypatch):
    bare = ModelSpec(
        "bare", "", lambda config, shape: nn.Sequential(nn.Flatten(), nn.Linear(1024, shape.classes)), dropout=False
    )
    monkeypatch.setitem(MODELS, "bare", bare)
    with pytest.raises(ConfigError, match="bare has no dropout layer"):
        created(tmp_path, model="bare").change(dropout=0.5)


def test_an_ended_run_takes_no_change(tmp_path):
    run = created(tmp_path)
    run.finish("completed")
    with pytest.raises(RunError, match="has ended"):
        run.change(learning_rate=0.1)


@pytest.mark.parametrize("kind", ["", "mile"])
def test_an_unknown_step_is_a_sentence(tmp_path, kind):
    with pytest.raises(RunError, match="one batch or one epoch"):
        created(tmp_path).step(kind)


# ---- steps ----------------------------------------------------------------------------------------------------------


def test_steps_are_exact_when_requested_in_quick_succession(tmp_path):
    """9 batches an epoch: from 4, one batch is 5, two more are 7, the epoch ends at 9, the next one at 18."""
    run = created(tmp_path)
    thread = started(run, at(4, lambda: run.command("pause")))
    until(is_paused(run, 4))
    for asked, expected in ((["batch"], 5), (["batch", "batch"], 7), (["epoch"], 9), (["batch"], 10), (["epoch"], 18)):
        for kind in asked:
            run.step(kind)
        until(is_paused(run, expected))
        assert steps(written(run)) == list(range(1, expected + 1))
    # the end of the epoch, with its validation, belongs to the step
    assert written(run)[-1]["event"] == "epoch"
    run.step("epoch")
    thread.join(timeout=60)
    assert run.status().state == "completed"
    assert steps(events(run)) == list(range(1, 28))


def test_a_stepped_run_has_the_weights_of_an_undisturbed_one(tmp_path):
    whole, run = created(tmp_path), created(tmp_path)
    execute(whole)
    thread = started(run, at(2, lambda: run.command("pause")))
    until(is_paused(run, 2))
    run.step()
    until(is_paused(run, 3))
    run.command("run")
    thread.join(timeout=60)
    assert all(torch.equal(weights(run)[name], tensor) for name, tensor in weights(whole).items())


def test_a_step_under_way_says_so_and_a_pause_ends_it(tmp_path):
    run = created(tmp_path, epochs=50)
    seen = []

    def listen(event: dict) -> None:
        if event.get("step") == 3 and event["event"] == "step":
            run.command("pause")
        if event.get("step") == 5 and event["event"] == "step":
            seen.append(run.status())
            run.command("pause")

    thread = started(run, listen)
    until(is_paused(run, 3))
    run.step("epoch")
    until(is_paused(run, 5))
    assert steps(written(run))[-1] == 5
    assert (seen[0].state, seen[0].stepping) == ("running", True)
    run.command("stop")
    thread.join(timeout=60)
    assert run.status().state == "stopped"


def test_steps_requested_of_an_earlier_process_are_void():
    class Somewhere:
        step, epoch, before_batch = 3, 0, True

    steps_of = Steps(Control("pause", ((1, "batch"), (2, "batch"))))
    assert not steps_of.allow_batch(Control("pause", ((1, "batch"), (2, "batch"))), Somewhere())
    assert steps_of.allow_batch(Control("pause", ((2, "batch"), (3, "epoch"))), Somewhere())


# ---- changes --------------------------------------------------------------------------------------------------------

WANTED = {"learning_rate": 0.0005, "dropout": 0.4, "weight_decay": 0.01, "rotation": 5.0, "flip": True}


@pytest.fixture(scope="module")
def changed(tmp_path_factory) -> Run:
    """Changed after its 12th of 27 steps, and not disturbed otherwise."""
    run = created(tmp_path_factory.mktemp("changed"), schedule="one-cycle")
    execute(run, on_event=at(12, lambda: run.change(**WANTED)))
    return run


def test_a_change_is_obeyed_at_the_next_batch_and_recorded(changed):
    found = written(changed)
    made = [event for event in found if event["event"] == "change"]
    assert [(e["step"], e["field"], e["from"], e["to"]) for e in made] == [
        (12, "dropout", 0.2, 0.4),
        (12, "learning_rate", 0.003, 0.0005),
        (12, "weight_decay", 0.0, 0.01),
        (12, "rotation", 0.0, 5.0),
        (12, "flip", False, True),
    ]
    place = found.index(made[0])
    assert found[place - 1]["step"] == 12
    assert found[place + len(made)]["step"] == 13
    # the schedule goes on with the new peak: one-cycle's fall, along a cosine, from there
    rates = {event["step"]: event["lr"] for event in found if event["event"] == "step"}
    for step in range(13, 28):
        fallen = ((step - 1) / 26 - 0.25) / 0.75
        assert rates[step] == pytest.approx(2e-9 + (0.0005 - 2e-9) * (1 + math.cos(math.pi * fallen)) / 2)
    assert rates[12] > 0.001


def test_the_card_has_the_settings_of_the_end_and_the_changes(changed):
    card = read_card(changed.checkpoint())
    assert card.config == CONFIG.replace(schedule="one-cycle", preparation="drawing", **WANTED)
    assert [(c.step, c.field, c.before, c.to) for c in card.changes][1] == (12, "learning_rate", 0.003, 0.0005)
    assert changed.config() == CONFIG.replace(schedule="one-cycle")
    raw = json.loads((changed.checkpoint() / "card.json").read_text())
    assert raw["changes"][0] == {"step": 12, "field": "dropout", "from": 0.2, "to": 0.4}
    (mark,) = HistoryReader(changed).history().changes
    assert mark.epoch == pytest.approx(12 / 9)
    assert mark.label.split("<br>")[:2] == ["dropout 0.2 → 0.4", "lr 0.003 → 0.0005"]
    assert mark.label.endswith("mirror off → on")


def test_a_change_equals_training_by_hand_with_the_same_settings(tmp_path):
    """The same loop driven without a run: what `change` does to the state is all that happens."""
    run = created(tmp_path, ema_decay=0.0)
    execute(run, on_event=at(12, lambda: run.change(learning_rate=0.01, weight_decay=0.1)))
    config = CONFIG.replace(ema_decay=0.0)
    data = arrange(load_dataset("digits"), config)
    state = TrainState(config, data)
    for event in train(state, data):
        if event["event"] == "step" and event["step"] == 12:
            state.config = config.replace(learning_rate=0.01, weight_decay=0.1)
            state.optimizer.param_groups[0]["weight_decay"] = 0.1
    assert all(torch.equal(weights(run)[name], tensor) for name, tensor in state.model.state_dict().items())


def test_dropout_reaches_the_layers(tmp_path):
    data = arrange(load_dataset("digits"), CONFIG)
    state = TrainState(CONFIG, data)
    state.change("dropout", 0.7)
    layers = [m for model in (state.model, state.ema) for m in model.modules() if isinstance(m, nn.Dropout)]
    assert [layer.p for layer in layers] == [0.7] * 4
    state.change("dropout", 0.0)
    assert [layer.p for layer in layers] == [0.0] * 4


@pytest.mark.parametrize("killed_at", [13, 17, 20])
def test_a_changed_and_killed_run_ends_with_the_same_weights(tmp_path, changed, killed_at):
    """Saved last after step 9: at 13 and 17 the change must be made again at its step, at 20 it is in the state."""
    run = created(tmp_path, schedule="one-cycle")

    def listen(event: dict) -> None:
        if event["event"] == "step" and event["step"] == 12:
            run.change(**WANTED)
        if event["event"] == "step" and event["step"] == killed_at:
            raise Killed

    with pytest.raises(Killed):
        execute(run, on_event=listen)
    saved = load_resume(run.folder)[0]
    assert (saved["config"]["learning_rate"] == 0.0005) == (killed_at == 20)
    execute(run)
    assert run.status().state == "completed", run.status().reason
    assert all(torch.equal(weights(run)[name], tensor) for name, tensor in weights(changed).items())
    mine, theirs = ([{**e, "asked": 0} for made in changes(events(r)).values() for e in made] for r in (run, changed))
    assert mine == theirs


def test_a_change_while_paused_waits_for_the_next_batch(tmp_path):
    run = created(tmp_path)
    thread = started(run, at(5, lambda: run.command("pause")))
    until(is_paused(run, 5))
    run.change(learning_rate=0.02)
    run.step()
    until(is_paused(run, 6))
    kinds = [(e["event"], e.get("lr")) for e in written(run) if e["event"] in ("step", "change")]
    assert kinds[4:] == [("step", 0.003), ("change", None), ("step", 0.02)]
    run.command("stop")
    thread.join(timeout=60)
    run.command("run")
    execute(run)
    assert run.status().state == "completed", run.status().reason
    assert len(changes(EventReader(run).read())[5]) == 1
    assert load_checkpoint(run.checkpoint()).card.config.learning_rate == 0.02


def test_a_state_that_contradicts_its_changes_is_refused(tmp_path):
    run = created(tmp_path)
    execute(run, on_event=at(12, lambda: (run.change(learning_rate=0.02), run.command("stop"))))
    run.command("run")
    saved = load_resume(run.folder)[0]
    assert saved["config"]["learning_rate"] == 0.003  # stopped before the next batch: asked for, not yet obeyed
    saved["config"]["learning_rate"] = 0.5
    save_resume(run.folder, saved)
    execute(run)
    assert run.status().state == "failed"
    assert "belongs to other settings" in run.status().reason


@pytest.mark.parametrize(
    "damage", [{"from": 0.5}, {"field": "epochs", "from": 3, "to": 4}, {"to": 99}, {"field": ["x"]}]
)
def test_contradictory_changes_are_refused(damage):
    good = {"field": "learning_rate", "from": 0.003, "to": 0.1}
    assert changed_config(CONFIG, [good]).learning_rate == 0.1
    with pytest.raises(RunError):
        changed_config(CONFIG, [{**good, **damage}])


def test_a_card_with_invalid_changes_is_refused(changed):
    card = read_card(changed.checkpoint())
    raw = card.model_dump(mode="json")
    del raw["changes"]
    assert type(card)(**raw).changes == []
    with pytest.raises(ValidationError):
        type(card)(**{**raw, "changes": [{"step": 1, "field": "dropout", "from": 0, "to": 1, "by": "me"}]})


def test_labels_are_short():
    one = {"field": "learning_rate", "from": 0.01, "to": 0.001}
    assert change_label([one]) == "lr 0.01 → 0.001"


# ---- early stopping -------------------------------------------------------------------------------------------------

# (loss, accuracy) of each epoch: best in the third, by its loss; then two that are no better
GIVEN = [(0.5, 0.9), (0.4, 0.95), (0.3, 0.95), (0.3, 0.95), (0.1, 0.7), (0.1, 0.99), (0.1, 0.99)]


def test_early_stopping_ends_training_after_its_patience(tmp_path, monkeypatch):
    given = deque(GIVEN)
    monkeypatch.setattr(loop, "loss_and_accuracy", lambda *_: given.popleft())
    run = created(tmp_path, epochs=7, patience=2, keep="best")
    execute(run)
    assert len(given) == 2
    status = run.status()
    assert (status.state, run.checkpoint().name) == ("completed", "epoch-003")
    assert status.reason.startswith("Stopped early after epoch 5: validation was best in epoch 3")
    assert written(run)[-1]["reason"] == "completed"


def test_without_patience_all_epochs_are_trained(tmp_path, monkeypatch):
    given = deque(GIVEN)
    monkeypatch.setattr(loop, "loss_and_accuracy", lambda *_: given.popleft())
    run = created(tmp_path, epochs=7)
    execute(run)
    assert not given
    assert run.status().reason == ""


@pytest.mark.parametrize("killed_after", [3, 4, 5])
def test_early_stopping_goes_on_counting_after_a_kill(tmp_path, monkeypatch, killed_after):
    given = deque(GIVEN)
    monkeypatch.setattr(loop, "loss_and_accuracy", lambda *_: given.popleft())
    run = created(tmp_path, epochs=7, patience=2)

    def listen(event: dict) -> None:
        if event["event"] == "step" and event["step"] == killed_after * 9 + 1:
            raise Killed

    if killed_after < 5:
        with pytest.raises(Killed):
            execute(run, on_event=listen)
    else:  # between the last epoch and the end
        monkeypatch.setattr("mnist_core.runs.checkpointing.evaluate_on_test", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            execute(run)
        monkeypatch.undo()
    execute(run)
    assert run.status().reason.startswith("Stopped early after epoch 5")
    assert steps(events(run))[-1] == 45


# ---- a stopped run's test figure ------------------------------------------------------------------------------------


def test_a_stopped_run_is_evaluated_once_when_asked(tmp_path):
    run = created(tmp_path)
    execute(run, on_event=at(12, lambda: run.command("stop")))
    assert "test_accuracy" not in read_card(run.checkpoint()).metrics
    metrics = evaluate_stopped_run(run)
    digits = load_dataset("digits")
    with torch.no_grad():
        logits = load_checkpoint(run.checkpoint()).model(torch.from_numpy(digits.test_images) / 255)
    right = (logits.argmax(dim=1).numpy() == digits.test_labels).mean()
    assert metrics["test_accuracy"] == pytest.approx(right, abs=1e-9)
    assert read_card(run.checkpoint()).metrics == metrics
    end = events(run)[-1]
    assert (end["event"], end["reason"], end["test_accuracy"]) == ("end", "stopped", metrics["test_accuracy"])
    before = (run.folder / "metrics.jsonl").read_bytes()
    assert evaluate_stopped_run(run) == metrics
    assert (run.folder / "metrics.jsonl").read_bytes() == before
    run.command("run")
    execute(run)
    assert run.status().state == "completed"
    assert [e["event"] for e in events(run)].count("end") == 1


def test_only_a_stopped_run_is_evaluated_when_asked(tmp_path):
    run = created(tmp_path)
    with pytest.raises(RunError, match="nothing to evaluate"):
        evaluate_stopped_run(run)
    execute(run, on_event=at(2, lambda: run.command("stop")))
    with run.lock, pytest.raises(RunError, match="goes on just now"):
        evaluate_stopped_run(Run(run.folder))
