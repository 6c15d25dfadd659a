"""Teaching a model a person's drawings: which settings follow from the model, what is learned, kept and recorded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mnist_core.config import NETWORK, TrainConfig
from mnist_core.data.collection import Collection
from mnist_core.data.dataset import NO_CLASS
from mnist_core.data.loading import load_dataset
from mnist_core.data.prepare import load_for
from mnist_core.data.splits import train_and_validation
from mnist_core.errors import ConfigError, DataError, LabError
from mnist_core.experiments.teach import completed, teach_config
from mnist_core.inference.predictor import Predictor
from mnist_core.models.checkpoint import read_card, update_card
from mnist_core.recipes import get_recipe
from mnist_core.runs.execute import execute
from mnist_core.runs.run import Run, create_run
from mnist_core.training.loss import training_loss
from mnist_core.training.state import TrainState

# a hand that no model knows: a triangle and a crossed square
ONE = [[[50, 10], [90, 90], [10, 90], [50, 10]]]
SEVEN = [[[10, 10], [90, 10], [90, 90], [10, 90], [10, 10]], [[10, 10], [90, 90]]]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A checkpoint of a short training on `digits`, as a run leaves it."""
    config = TrainConfig(dataset="digits", model="mlp", epochs=6, learning_rate=0.003, seed=3, validation_fraction=0.2)
    run = create_run(config, tmp_path_factory.mktemp("runs"))
    execute(run)
    assert run.checkpoint() is not None
    return run.checkpoint()


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    """Ten drawings of each of two digits by one person."""
    mine = Collection(tmp_path_factory.mktemp("drawings"), "Ann")
    for number in range(10):
        for label, strokes in (("1", ONE), ("7", SEVEN)):
            mine.add(label, [[[5 * x + number, 5 * y, 0] for x, y in stroke] for stroke in strokes])
    return mine.path


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory):
    """A data folder without any dataset."""
    return tmp_path_factory.mktemp("no-data")


@pytest.fixture(scope="module")
def teaching(model, drawings, nowhere, tmp_path_factory) -> Run:
    return taught(model, drawings, nowhere, tmp_path_factory.mktemp("runs"), rehearsal_images=600)


def taught(model, drawings, nowhere, folder, **settings: object) -> Run:
    small = {"non_digits": 8, "extra_copies": 10, "learning_rate": 0.003, "epochs": 4, "threads": 1}
    run = create_run(teach_config(str(model), drawings, nowhere).replace(**small, **settings), folder)
    execute(run, nowhere)
    assert run.status().state == "completed", run.status().reason
    return run


# ---- settings -------------------------------------------------------------------------------------------------------


def test_network_teacher_and_split_follow_from_the_model(model, drawings, nowhere):
    config, old = teach_config(str(model), drawings, nowhere), read_card(model).config
    for name in (*NETWORK, "dropout", "normalization", "seed", "validation_fraction", "split"):
        assert getattr(config, name) == getattr(old, name), name
    assert (config.recipe, config.init_from, config.teachers) == ("teach", str(model), str(model))
    assert (config.rehearsal, config.non_digits) == ("digits", 250)
    assert config.extra_copies == 30  # as many as are allowed of few drawings
    assert completed(config, nowhere) == config


def test_what_a_person_gives_stays(model, drawings, nowhere):
    config = get_recipe("teach").config(f"drawings:{drawings}")
    config = config.replace(init_from=str(model), seed=7, extra_copies=2, teachers="")
    done = completed(config, nowhere, given=("init_from", "seed", "extra_copies", "teachers"))
    assert (done.seed, done.extra_copies, done.teachers, done.model) == (7, 2, "", "mlp")


def test_other_recipes_and_datasets_are_left_alone(nowhere):
    for config in (get_recipe("quick").config("digits"), get_recipe("teach").config("digits")):
        assert completed(config, nowhere) is config


def test_without_its_own_data_a_model_rehearses_the_digits(model, drawings, nowhere, tmp_path):
    pen = teach_config("pen", drawings, nowhere)
    assert (pen.rehearsal, pen.model) == ("digits", "residual-cnn")  # MNIST is not there
    update_card(model, dataset="drawings:/nowhere/at/all.json")
    try:
        assert teach_config(str(model), drawings, nowhere).rehearsal == "digits"
    finally:
        update_card(model, dataset="digits")


def test_a_model_of_colour_pictures_is_refused(colour_checkpoint, drawings, nowhere):
    with pytest.raises(ConfigError, match="does not read drawings"):
        teach_config(str(colour_checkpoint), drawings, nowhere)


@pytest.mark.parametrize("wrong", [{"model": "nobody"}, {"path": "/nowhere.json"}])
def test_a_missing_model_or_file_is_a_sentence(wrong, model, drawings, nowhere):
    with pytest.raises(LabError, match="There is no"):
        teach_config(wrong.get("model", str(model)), wrong.get("path", drawings), nowhere)


# ---- the dataset ----------------------------------------------------------------------------------------------------


def test_drawings_are_mixed_among_what_is_rehearsed(model, drawings, nowhere):
    config = teach_config(str(model), drawings, nowhere).replace(non_digits=8, extra_copies=3, rehearsal_images=200)
    data, digits = load_for(config, nowhere, further=True), load_dataset("digits", nowhere)
    old_train, old_validation = train_and_validation(digits, read_card(model).config)
    train, validation = train_and_validation(data, config)
    np.testing.assert_array_equal(data.train_images[validation], digits.train_images[old_validation])
    assert len(train) == 200 + 16 * 3 + 8
    assert data.extra == 16 * 3 + 8
    rehearsed = {image.tobytes() for image in data.train_images[train[:200]]}
    assert len(rehearsed - {image.tobytes() for image in digits.train_images[old_train]}) == 0
    own = data.train_labels[-56:]
    assert [(own == label).sum() for label in (1, 7, NO_CLASS)] == [24, 24, 8]
    assert data.classes == digits.classes
    assert data.test_labels.tolist() == [1, 7, 1, 7]
    assert data.sources[0] == "16 drawings by Ann, and 4 others of the same held out to judge it by"
    np.testing.assert_array_equal(load_for(config, nowhere).test_images, data.test_images)
    assert load_for(config, nowhere).extra == 16  # each drawing as it is


def test_labels_that_are_no_class_are_named(model, nowhere, tmp_path):
    path = tmp_path / "letters.json"
    digits = [{"label": name, "strokes": ONE, "test": k == 4} for name in "ab" for k in range(5)]
    path.write_text(json.dumps({"box": [100, 100], "y_axis": "down", "digits": digits}))
    with pytest.raises(DataError, match=r"those of 'letters\.json' are a, b"):
        load_for(teach_config(str(model), path, nowhere), nowhere)


def test_the_label_corrects_the_teacher_of_what_is_taught():
    config = TrainConfig(rehearsal="digits", distillation=0.9)
    logits, labels = torch.zeros(2, 10), torch.tensor([1, 1])
    soft = torch.full((2, 10), 0.0)
    soft[:, 7] = 1.0
    logits[:, 1] = 3.0
    loss = {
        taught: training_loss(config, None, logits, labels, soft, torch.tensor([taught, taught])).item()
        for taught in (True, False)
    }
    plain = torch.nn.functional.cross_entropy(logits, labels).item()
    assert loss[True] == pytest.approx(plain)
    assert loss[False] > plain + 1


# ---- the run --------------------------------------------------------------------------------------------------------


def test_a_hand_is_learned_and_little_is_forgotten(model, teaching, drawings, nowhere):
    card = read_card(teaching.checkpoint())
    found = card.metrics
    assert found["before_accuracy"] <= 0.5
    assert found["test_accuracy"] == 1.0
    assert found["test_images"] == 4
    assert found["earlier_accuracy"] > found["earlier_before"] - 0.05
    digits = load_dataset("digits", nowhere)
    before, after = (
        Predictor(folder).probabilities(digits.test_images).argmax(axis=1) == digits.test_labels
        for folder in (model, teaching.checkpoint())
    )
    assert found["earlier_images"] == len(digits.test_labels)
    assert found["earlier_before"] == pytest.approx(before.mean())
    assert found["forgotten"] == (before & ~after).sum()
    assert found["gained"] == (after & ~before).sum()
    assert "16 drawings by Ann" in card.about.data[0]
    assert "images of digits" in card.about.data[1]
    assert card.classes == list(digits.classes)
    # taught again from there: the same images are held out, and it rehearses what the first model learned from
    again = teach_config(str(teaching.checkpoint()), drawings, nowhere)
    assert (again.rehearsal, again.seed, again.validation_fraction) == ("digits", 3, 0.2)


def test_without_rehearsal_it_forgets_more(model, teaching, drawings, nowhere, tmp_path):
    alone = taught(model, drawings, nowhere, tmp_path, rehearsal_images=0)
    lost, kept = (read_card(run.checkpoint()).metrics["forgotten"] for run in (alone, teaching))
    assert lost > 2 * kept


def test_a_teaching_goes_on_where_it_was_saved(model, drawings, nowhere):
    config = teach_config(str(model), drawings, nowhere).replace(non_digits=8, extra_copies=2, rehearsal_images=50)
    data = load_for(config, nowhere, further=True)
    state = TrainState(config, data)
    other = TrainState(config, load_for(config, nowhere, further=True))
    other.load_state_dict(state.state_dict())
    np.testing.assert_array_equal(other.train_indices, state.train_indices)
    np.testing.assert_array_equal(other.val_indices, state.val_indices)


def test_the_command_line_teaches(model, drawings, nowhere, ask, tmp_path):
    few = [f"--set={setting}" for setting in ("non_digits=0", "extra_copies=2", "rehearsal_images=100", "epochs=1")]
    command = ["train", "--recipe", "teach", "--set", f"init_from={model}", "--dataset", f"drawings:{drawings}"]
    status, out, err = ask(*command, *few, "--data-dir", str(nowhere), "--json")
    assert status == 0, err
    card = read_card(Path(json.loads(out.splitlines()[-1])["checkpoint"]))
    assert card.config.teachers == str(model)
    assert card.metrics["test_images"] == 4


def test_the_command_line_refuses_with_a_sentence(drawings, refused, nowhere):
    command = ["train", "--recipe", "teach", "--data-dir", str(nowhere), "--dataset"]
    assert "There is nothing at" in refused(*command, "drawings:/nowhere.json")
    assert "There is no checkpoint" in refused(*command, f"drawings:{drawings}", "--set", "init_from=nobody")
    assert "name it in the setting init_from" in refused(*command, f"drawings:{drawings}", "--set", "init_from=")
