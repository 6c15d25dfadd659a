"""Attacks on one image, on Inside and on Results, through AppTest."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_core.data.loading import load_dataset
from mnist_core.explain.activations import activations
from mnist_core.explain.adversarial import attack, smallest_strength
from mnist_core.models.checkpoint import load_checkpoint
from tests.helpers.pages import drawn_seven, finished_run, visit, words


@pytest.fixture(autouse=True)
def _no_mnist(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path / "data"))


def plain(app) -> str:
    return words(app).replace("\\", "")


def slider(app):
    return next(each for each in app.slider if each.label.startswith("Strength"))


@pytest.mark.parametrize("method", ["fgsm", "pgd"])
def test_a_test_image_is_attacked_at_the_weakest_that_works(method):
    run = finished_run()
    place = {"image": "test:3", "view": "attack", "attack": method}
    app = visit("pages/inside.py", model=run.id, **{f"inside-{name}": value for name, value in place.items()})
    assert not app.exception
    assert not app.error
    model, image = load_checkpoint(run.checkpoint()).model, load_dataset("digits").test_images[3]
    weakest = smallest_strength(model, image, method)
    assert slider(app).value == weakest
    found = attack(model, image, method, (weakest,))
    assert f"moves pixels by {weakest} grey levels of 255 ({weakest / 255:.1%})" in plain(app)
    assert f"At {weakest} it reads {found.answers[1]} in place of {found.answers[0]}" in plain(app)
    moved = {
        one.name: float(np.linalg.norm(other.output - one.output) / np.linalg.norm(one.output))
        for one, other in zip(activations(model, found.images[0]), activations(model, found.images[1]), strict=True)
        if one.kind not in ("Dropout", "Flatten")
    }
    assert f"by {max(moved.values()):.0%} of its answer, against {next(iter(moved.values())):.0%}" in plain(app)
    assert (app.query_params["view"], app.query_params["attack"]) == ("attack", method)
    slider(app).set_value(1).run()
    assert f"At 1 it still reads {found.answers[0]}" in plain(app)


def test_a_drawing_is_attacked_on_inside():
    app = visit("pages/inside.py", **{"canvas-0": drawn_seven(), "inside-view": "attack"})
    assert not app.exception
    assert "in place of 7" in plain(app)


def test_an_image_of_results_is_attacked_on_request():
    run = finished_run()
    app = visit("pages/results.py", model=run.id, **{"results-image": "test:7", "results-data": "digits"})
    assert "The weakest attack found" not in plain(app)
    app.toggle(key="results-attack-on").set_value(True).run()
    assert not app.exception
    assert "The weakest attack found" in plain(app)
