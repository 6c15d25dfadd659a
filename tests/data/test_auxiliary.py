import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mnist_core.config import TrainConfig
from mnist_core.data.auxiliary import with_extra
from mnist_core.data.dataset import NO_CLASS
from mnist_core.data.loading import load_dataset
from mnist_core.data.outliers import non_digits
from mnist_core.data.pen_digits import GRID, load_copies, load_grid
from mnist_core.data.splits import arrange, train_and_validation
from mnist_core.drawing.hands import IDEAS
from mnist_core.errors import DataError
from mnist_core.inference.rejection import certainty
from mnist_core.models.classifier import infer
from mnist_core.training.loop import train
from mnist_core.training.loss import right_and_counted, training_loss
from mnist_core.training.state import TrainState
from tests.helpers.files import sheet


@pytest.fixture
def strokes(tmp_path):
    """Each digit's label on a one with a bar as high as the label says, by two writers."""
    value = sheet()
    value["digits"] = [
        {
            "label": label,
            "strokes": [[[50, 10], [50 + copy, 90]], [[30, 10 + 8 * label], [70, 10 + 8 * label]]],
            "writer": copy,
        }
        for label in range(10)
        for copy in range(2)
    ]
    path = tmp_path / "strokes.json"
    path.write_text(json.dumps(value))
    return path


def test_extra_images_are_learned_from_and_never_held_out(strokes):
    digits = load_dataset("digits")
    config = TrainConfig(dataset="digits", extra=f"drawings:{strokes}", extra_copies=3)
    data = with_extra(arrange(digits, config), config)
    assert data.extra == 20 * 3
    assert len(data.train_labels) == len(digits.train_labels) + 60
    assert np.bincount(data.train_labels[-60:]).tolist() == [6] * 10
    np.testing.assert_array_equal(data.test_images, digits.test_images)
    train_rows, validation_rows = train_and_validation(data, config)
    plain_train, plain_validation = train_and_validation(digits, config)
    np.testing.assert_array_equal(validation_rows, plain_validation)
    assert set(train_rows.tolist()) == set(plain_train.tolist()) | set(
        range(len(digits.train_labels), len(data.train_labels))
    )


def test_a_training_goes_through_them(strokes):
    config = TrainConfig(dataset="digits", extra=f"drawings:{strokes}", extra_copies=3, epochs=1)
    data = with_extra(load_dataset("digits"), config)
    start, *_, end = train(TrainState(config, data), data)
    plain = TrainState(config.replace(extra=""), load_dataset("digits"))
    assert start["train_images"] == len(plain.train_indices) + 60
    assert start["val_images"] == len(plain.val_indices)
    assert end["event"] == "epoch"


def test_without_extra_the_dataset_itself_comes_back():
    data = load_dataset("digits")
    assert with_extra(data, TrainConfig(dataset="digits")) is data


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [("mnist", "come from pen strokes"), ("drawings:/nowhere/x.json", "nothing at"), ("drawings:", "needs a path")],
)
def test_what_is_no_drawing_is_refused_in_a_sentence(extra, sentence):
    config = TrainConfig(dataset="digits", extra=extra)
    with pytest.raises(DataError, match=sentence):
        with_extra(load_dataset("digits"), config)


def test_drawings_of_other_classes_are_refused(tmp_path):
    path = tmp_path / "two.json"
    two = sheet()  # ones and sevens alone
    for digit in two["digits"]:
        digit["label"] = {1: "one", 7: "seven"}[digit["label"]]
    path.write_text(json.dumps(two))
    config = TrainConfig(dataset="digits", extra=f"drawings:{path}", extra_copies=1)
    with pytest.raises(DataError, match="are one, seven"):
        with_extra(load_dataset("digits"), config)
    mapped = with_extra(load_dataset("digits"), config.replace(classes="one=1,seven=7"))
    assert set(mapped.train_labels[-mapped.extra :].tolist()) == {1, 7}


def test_copies_differ_and_repeat_with_their_seed(strokes):
    classes, images, labels = load_copies(strokes, 4, seed=1)
    assert classes == tuple("0123456789")
    assert images.shape == (80, 1, 28, 28)
    assert labels.tolist() == [label for label in range(10) for _ in range(8)]
    assert len({image.tobytes() for image in images}) == 80
    assert (load_copies(strokes, 4, seed=1)[1] == images).all()
    assert (load_copies(strokes, 4, seed=2)[1] != images).any()


def test_a_share_of_the_copies_is_invented(strokes):
    shares = (0.0, 0.3, 1.0)
    plain, some, all_of_them = (load_copies(strokes, 20, 1, invented=share, ideas=IDEAS)[1] for share in shares)
    changed = (plain != some).any(axis=(1, 2, 3))
    assert changed.mean() == pytest.approx(0.3, abs=0.07)
    assert (plain != all_of_them).any(axis=(1, 2, 3)).mean() > 0.97  # the strokes of a few stay by chance
    assert (some[changed] == all_of_them[changed]).all()
    config = TrainConfig(dataset="digits", extra=f"drawings:{strokes}", extra_copies=20, extra_invented=1.0, seed=1)
    learned = (with_extra(load_dataset("digits"), config).train_images[-400:] != plain).any(axis=(1, 2, 3))
    labels = np.repeat(np.arange(10), 40)
    assert learned[np.isin(labels, (1, 7))].mean() == pytest.approx(0.5, abs=0.15)
    assert not learned[~np.isin(labels, (1, 7))].any()


def test_the_grid_draws_each_digit_with_each_pen(strokes):
    _, cells, labels = load_grid(strokes)
    assert tuple(cells) == GRID
    assert all(images.shape == (20, 1, 28, 28) for images in cells.values())
    assert labels.tolist() == [label for label in range(10) for _ in range(2)]
    thin, thick = cells[GRID[0]].astype(int).sum(), cells[GRID[3]].astype(int).sum()
    assert thick > 1.1 * thin  # of the same size, with 20 px instead of 12
    _, ours, own = load_grid(strokes, {"1"})
    assert len(own) == 10
    assert all((ours[cell] == cells[cell][1::2]).all() for cell in GRID)
    with pytest.raises(DataError, match="by any of the writers 7"):
        load_grid(strokes, {"7"})


# ---- non-digits -----------------------------------------------------------------------------------------------------


def test_non_digits_have_no_class_and_are_never_held_out(strokes):
    digits = load_dataset("digits")
    config = TrainConfig(dataset="digits", extra=f"drawings:{strokes}", extra_copies=1, non_digits=10)
    data = with_extra(arrange(digits, config), config)
    assert data.extra == 20 + 10
    assert data.train_labels[-30:-10].min() == 0
    assert data.train_labels[-10:].tolist() == [NO_CLASS] * 10
    train_rows, validation_rows = train_and_validation(data, config)
    assert set(range(len(data.train_labels) - 30, len(data.train_labels))) <= set(train_rows.tolist())
    assert data.train_labels[validation_rows].min() == 0
    again = with_extra(arrange(digits, config), config)
    np.testing.assert_array_equal(again.train_images, data.train_images)
    other = with_extra(arrange(digits, config), config.replace(seed=1))
    assert not np.array_equal(other.train_images[-10:], data.train_images[-10:])


def test_several_digits_are_made_of_training_images_only(monkeypatch):
    digits, taken = load_dataset("digits"), []

    def noted(kind: str, count: int, seed: int, images):
        taken.append(images)
        return np.zeros((count, 1, 28, 28), np.uint8)

    monkeypatch.setattr("mnist_core.data.auxiliary.non_digits", noted)
    config = TrainConfig(dataset="digits", non_digits=5)
    with_extra(arrange(digits, config), config)
    rows, _ = train_and_validation(digits, config)
    assert len(taken) == 4
    assert all((images == digits.train_images[rows]).all() for images in taken)


@pytest.mark.parametrize("labels", ["index", "one-hot"])
def test_of_a_non_digit_every_class_should_be_as_likely(labels):
    logits = torch.randn(4, 10, dtype=torch.float64)
    answers = torch.tensor([3, NO_CLASS, 0, NO_CLASS])
    logs = logits.log_softmax(dim=1)
    expected = -(logs[0, 3] + logs[1].mean() + logs[2, 0] + logs[3].mean()) / 4
    config = TrainConfig(dataset="digits", labels=labels, non_digits=1)
    torch.testing.assert_close(training_loss(config, None, logits, answers), expected)


def test_accuracy_is_that_of_the_digits():
    logits = torch.eye(10)[[3, 4, 5, 6]]
    assert [*map(int, right_and_counted(logits, torch.tensor([3, NO_CLASS, 5, 0])))] == [2, 3]
    assert [*map(int, right_and_counted(logits, torch.full((4,), NO_CLASS)))] == [0, 0]


@pytest.mark.slow
def test_a_network_learns_to_be_unsure_of_non_digits():
    config = TrainConfig(dataset="digits", epochs=6, batch_size=64, learning_rate=0.003, non_digits=300)
    data = with_extra(load_dataset("digits"), config)
    state = TrainState(config, data)
    *_, end = train(state, data)
    assert end["train_accuracy"] > 0.9
    letters = non_digits("letters", 100, seed=0)
    answers = infer(state.model, letters).softmax(dim=1).numpy()
    sure = certainty(infer(state.model, data.test_images).softmax(dim=1).numpy())
    assert np.median(sure) > np.median(certainty(answers)) + 0.3


def test_pictures_of_another_size_have_no_non_digits(tiny_data):
    config = TrainConfig(dataset="digits", non_digits=1)
    colour = replace(tiny_data, train_images=np.repeat(tiny_data.train_images, 3, axis=1))
    with pytest.raises(DataError, match="set non_digits to 0"):
        with_extra(colour, config)
