"""Fewer training images, and wrong labels among them: counted one by one."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from mnist_core.config import TrainConfig
from mnist_core.data.auxiliary import with_extra
from mnist_core.data.dataset import NO_CLASS
from mnist_core.data.draws import drawn_share, noisy_labels
from mnist_core.data.loading import load_dataset
from mnist_core.data.rehearsal import load_mixed
from mnist_core.data.splits import train_and_validation
from mnist_core.errors import DataError
from mnist_core.models.checkpoint import read_card
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run
from mnist_core.training.loop import train
from mnist_core.training.state import TrainState

LABELS = np.random.default_rng(1).choice(5, 1000, p=[0.5, 0.2, 0.15, 0.1, 0.05])
CONFIG = TrainConfig(dataset="digits", model="mlp", epochs=1, batch_size=32, validation_fraction=0.2, seed=3)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.37, 0.5, 0.999])
def test_a_share_has_its_part_of_each_class(share):
    rows = np.arange(0, 1000, 2)
    kept = drawn_share(rows, LABELS, share, seed=4)
    assert set(kept.tolist()) <= set(rows.tolist())
    assert len(set(kept.tolist())) == len(kept)
    before, after = Counter(LABELS[rows].tolist()), Counter(LABELS[kept].tolist())
    assert after == {label: max(1, round(share * count)) for label, count in before.items()}


def test_smaller_shares_lie_in_larger_ones_and_seeds_differ():
    rows = np.arange(1000)
    drawn = [set(drawn_share(rows, LABELS, share, seed=4).tolist()) for share in (0.01, 0.1, 0.5, 1)]
    assert drawn[0] < drawn[1] < drawn[2] < drawn[3] == set(range(1000))
    assert set(drawn_share(rows, LABELS, 0.1, seed=5).tolist()) != drawn[1]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_so_many_labels_are_wrong_and_no_others(share):
    rows = np.arange(100, 900)
    noisy = noisy_labels(LABELS, rows, 5, share, seed=2)
    changed = np.flatnonzero(noisy != LABELS)
    assert len(changed) == round(share * 800)
    assert changed.min() >= 100
    assert changed.max() < 900
    assert set(noisy.tolist()) == set(range(5))
    np.testing.assert_array_equal(noisy, noisy_labels(LABELS, rows, 5, share, seed=2))
    assert not np.array_equal(noisy, noisy_labels(LABELS, rows, 5, share, seed=3))
    less = np.flatnonzero(noisy_labels(LABELS, rows, 5, share / 2, seed=2) != LABELS)
    assert set(less.tolist()) < set(changed.tolist())


def test_each_other_class_is_equally_likely():
    labels = np.full(30_000, 2)
    counts = Counter(noisy_labels(labels, np.arange(30_000), 4, 0.6, seed=0).tolist())
    assert counts[2] == 12_000
    for label in (0, 1, 3):  # 6,000 expected, with a deviation of 63
        assert abs(counts[label] - 6000) < 260


def test_validation_stays_that_of_all_images(tiny_data):
    whole = train_and_validation(tiny_data, CONFIG)
    part = train_and_validation(tiny_data, CONFIG.replace(train_share=0.25, label_noise=0.5))
    np.testing.assert_array_equal(part[1], whole[1])
    assert set(part[0].tolist()) < set(whole[0].tolist())
    assert len(part[0]) == pytest.approx(len(whole[0]) / 4, abs=5)


def test_auxiliary_images_are_all_there_with_their_labels():
    config = CONFIG.replace(train_share=0.1, label_noise=0.9, non_digits=20)
    data = with_extra(load_dataset("digits"), config)
    state = TrainState(config, data)
    own = len(data.train_labels) - 20
    used = state.train_indices
    assert (used >= own).sum() == 20
    assert (state.labels[own:] == NO_CLASS).all()
    learned = used[used < own]
    wrong = state.labels != data.train_labels
    assert wrong[learned].sum() == wrong.sum() == round(0.9 * len(learned))
    assert not wrong[state.val_indices].any()


def test_a_network_learns_the_labels_that_it_is_given(tiny_data):
    config = CONFIG.replace(label_noise=0.9, epochs=40, learning_rate=0.01, batch_size=128)
    state = TrainState(config, tiny_data)
    (
        *_,
        last,
    ) = (event for event in train(state, tiny_data) if event["event"] == "epoch")
    # by heart, on images that it saw, and not the true ones, as nine of ten were others
    assert last["train_accuracy"] > 0.6
    assert last["val_accuracy"] < 0.3


def test_the_card_says_how_many_images_and_wrong_labels(tmp_path):
    run = create_run(CONFIG.replace(train_share=0.1, label_noise=0.2, threads=1), tmp_path)
    execute(run)
    card = read_card(run.checkpoint())
    labels = load_dataset("digits").train_labels
    learned = sum(
        max(1, round(0.1 * count))
        for count in Counter(labels[train_and_validation(load_dataset("digits"), CONFIG)[0]].tolist()).values()
    )
    share, noise = card.about.data
    assert share.startswith(f"{learned} training images, 0.1 of those")
    assert noise.startswith(f"{round(0.2 * learned)} of {learned} training labels replaced")
    assert (card.config.train_share, card.config.label_noise) == (0.1, 0.2)


@pytest.mark.parametrize("settings", [{"train_share": 0.5}, {"label_noise": 0.1}])
def test_a_teaching_refuses_both(settings):
    config = TrainConfig(dataset="drawings:nowhere.json", rehearsal="digits", **settings)
    with pytest.raises(DataError, match="leave train_share at 1 and label_noise at 0"):
        load_mixed(config)
