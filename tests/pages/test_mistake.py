"""The error loop on Results: one image and its causes, votes, doubted labels, two models."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_core.data.loading import load_dataset
from mnist_core.explain.label_errors import doubted_labels
from mnist_core.explain.votes import Votes
from mnist_core.inference.interval import interval_text, wilson_interval
from mnist_core.inference.metrics import evaluate
from mnist_core.inference.network import Network
from mnist_core.models.checkpoint import load_checkpoint
from mnist_core.runs.run import Run
from mnist_core.system.settings import runs_folder
from tests.helpers.pages import finished_run, visit, words

PAGE = "pages/results.py"


@pytest.fixture(autouse=True)
def _no_mnist(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path / "data"))


def evaluation(run: Run):
    data = load_dataset("digits")
    return data, evaluate(Network(load_checkpoint(run.checkpoint())), data.test_images, data.test_labels)


def one_image(run: Run, row: int):
    return visit(PAGE, model=run.id, **{"results-image": f"test:{row}", "results-data": "digits"})


def test_a_mistake_is_shown_with_its_causes():
    run = finished_run()
    data, result = evaluation(run)
    row = int(result.mistakes()[0])
    app = one_image(run, row)
    assert not app.exception
    assert not app.error
    said = words(app)
    true, predicted = int(result.labels[row]), int(result.predicted[row])
    assert f"Test image {row}: labelled {true}, read as {predicted}" in said
    for title in ("What the network looked at", "Which training images taught it that", "The smallest edit"):
        assert title in said
    assert f"For {true}**, its label" in said
    assert f"For {predicted}**, the answer" in said
    assert f"it reads {true}, " in said  # the edit makes the label the answer
    assert app.query_params["image"] == f"test:{row}"
    assert app.query_params["model"] == run.id
    assert len(data.test_labels) > row


def test_an_image_that_was_read_right_is_flipped_to_any_other():
    run = finished_run()
    _, result = evaluation(run)
    row = int(np.flatnonzero(result.right)[0])
    app = one_image(run, row)
    assert not app.exception
    assert "its label and the answer" in words(app)


def test_a_vote_is_kept_and_shown_beside_the_label():
    run = finished_run()
    data = load_dataset("digits")
    app = one_image(run, 7)
    app.selectbox(key="vote-7").select("4").run()
    next(button for button in app.button if button.label == "Vote").click().run()
    assert not app.exception
    assert "you said 4" in words(app)
    assert "Votes so far: 4: 1" in words(app)
    assert Votes(runs_folder()).count(data.fingerprint, 7) == {"4": 1}


def test_a_lab_in_which_nothing_changes_keeps_no_vote(monkeypatch):
    run = finished_run()
    monkeypatch.setenv("MNIST_LAB_MODE", "read-only")
    app = one_image(run, 7)
    assert not app.exception
    assert "keeps no votes" in words(app)
    assert not [button for button in app.button if button.label == "Vote"]


def test_doubted_labels_and_both_scores_are_shown():
    run = finished_run()
    _, result = evaluation(run)
    app = visit(PAGE, model=run.id)
    assert not app.exception
    rows = doubted_labels(result.labels, result.probabilities)
    said = words(app)
    interval = interval_text(wilson_interval(int(result.right.sum()), 360))
    assert f"({interval})" in said or not len(rows)
    assert f"tell it: {interval} %." in said
    if len(rows):
        assert f"With the {len(rows)} doubted labels set aside" in said


def test_two_models_are_set_against_each_other():
    run, other = finished_run(), finished_run(seed=1)
    app = visit(PAGE, model=run.id, **{"results-versus": other.id})
    assert not app.exception
    assert not app.error
    _, mine = evaluation(run)
    _, theirs = evaluation(other)
    differ = int((mine.predicted != theirs.predicted).sum())
    assert f"They differ on {differ} of 360 images" in words(app)
    assert "McNemar's exact test: p =" in words(app)


@pytest.mark.parametrize("image", ["test:360", "train:1", "test:-1", "<b>"])
def test_an_image_that_is_not_there_shows_all_results(image):
    run = finished_run()
    app = visit(PAGE, model=run.id, **{"results-image": image})
    assert not app.exception
    assert any(metric.label == "Accuracy" for metric in app.metric)


def test_a_cell_of_the_address_is_opened():
    run = finished_run()
    app = visit(PAGE, model=run.id, **{"results-true": "8", "results-predicted": "1"})
    assert not app.exception
    assert "8 read as 1" in words(app)
    assert (app.query_params["true"], app.query_params["predicted"]) == ("8", "1")
