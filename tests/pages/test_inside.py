"""The Inside page: what it shows of any model, and that its address leads back to the place."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_core.config import TrainConfig
from mnist_core.explain.activations import activations
from mnist_core.explain.faithfulness import record
from mnist_core.inference.predictor import Predictor
from mnist_core.models.checkpoint import load_checkpoint
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run
from tests.helpers.pages import drawn_seven, finished_run, visit, words

PAGE = "pages/inside.py"


@pytest.fixture(autouse=True)
def _no_mnist(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path / "data"))


def inside(**place: object):
    """The page of a small model of the built-in digits."""
    run = finished_run()
    return run, visit(PAGE, model=run.id, **{f"inside-{name}": value for name, value in place.items()})


def test_without_images_and_drawing_it_invites():
    app = visit(PAGE)
    assert not app.exception
    assert "every layer of the network shows" in words(app)


def test_a_drawing_is_shown_layer_by_layer():
    app = visit(PAGE, **{"canvas-0": drawn_seven()})
    assert not app.exception
    assert "### 7" in words(app)
    opened = [button for button in app.button if button.key and button.key.startswith("inside-layer-open-")]
    assert len(opened) == len([a for a in activations_of_seven() if a.kind not in ("Dropout", "Flatten")])
    opened[-1].click().run()
    assert app.session_state["inside-layer"] == "13"
    assert "The 40 inputs that add most" in words(app)


def activations_of_seven():
    return activations(Predictor("pen").checkpoint.model, np.zeros((28, 28), np.uint8))


def test_the_sum_of_the_table_is_the_networks():
    run, app = inside(image="test:3", layer="3", unit="7", row="2", column="4")
    assert not app.exception
    (table,) = (m.value for m in app.markdown if m.value.startswith("| step"))
    model = load_checkpoint(run.checkpoint()).model
    from mnist_core.data.loading import load_dataset

    own = {a.name: a for a in activations(model, load_dataset("digits").test_images[3])}["3"]
    assert f"{own.output[7, 2, 4]:.4f} |" in table
    assert [app.slider(key=f"inside-{part}").value for part in ("row", "column")] == [2, 4]
    assert app.query_params["layer"] == "3"
    assert app.query_params["unit"] == "7"
    assert app.query_params["image"] == "test:3"


@pytest.mark.parametrize("recipe_model", ["mlp", "residual-cnn", "compact"])
def test_other_architectures_are_shown_too(recipe_model):
    run = finished_run(model=recipe_model, head="log-softmax")
    app = visit(PAGE, model=run.id, **{"inside-image": "test:0"})
    assert not app.exception
    assert not app.error
    for key in [b.key for b in app.button if b.key and b.key.startswith("inside-layer-open-")][1::3]:
        app.button(key=key).click().run()
        assert not app.exception
        assert not app.error


@pytest.mark.parametrize("method", ["integrated-gradients", "grad-cam", "occlusion"])
def test_each_method_shows_where_the_model_looked(method):
    _, app = inside(image="test:3", view="saliency", method=method, target="2")
    assert not app.exception
    assert not app.error
    assert app.selectbox(key="inside-target").value == 2
    assert "Blue speaks for 2" in words(app)
    assert "not for this one" in words(app)
    assert app.query_params["method"] == method


def test_a_dense_network_is_not_offered_grad_cam():
    run = finished_run(model="mlp")
    app = visit(
        PAGE, model=run.id, **{"inside-image": "test:0", "inside-view": "saliency", "inside-method": "grad-cam"}
    )
    assert not app.exception
    assert "Integrated gradients" in words(app)


def test_what_a_unit_wants_to_see_has_nine_images():
    _, app = inside(image="test:3", layer="3", unit="7")
    app.toggle(key="inside-wish").set_value(True).run()
    assert not app.exception
    assert "Made to excite it" in words(app)


@pytest.mark.parametrize(
    "place", [{"image": "test:99999"}, {"image": "x"}, {"unit": "999"}, {"layer": "zz"}, {"row": "a"}]
)
def test_an_address_that_leads_nowhere_shows_what_is_there(place):
    _, app = inside(**{"image": "test:3", **place})
    assert not app.exception
    assert not app.error


def test_colour_and_many_classes_are_shown_too(tmp_path):
    random = np.random.default_rng(0)
    labels = np.tile(np.arange(47), 8)
    np.savez(tmp_path / "colour.npz", images=random.integers(0, 256, (376, 20, 20, 3), np.uint8), labels=labels)
    config = TrainConfig(dataset=f"npz:{tmp_path / 'colour.npz'}", model="small-cnn", epochs=1)
    run = create_run(config)
    execute(run)
    assert run.status().state == "completed", run.status()
    for view in ("attack", "layers", "saliency"):
        app = visit(PAGE, model=run.id, **{"inside-image": "test:1", "inside-view": view})
        assert not app.exception
        assert not app.error
        assert not [box for box in app.segmented_control if "Your drawing" in box.options]
    assert app.selectbox(key="inside-target").options[-1] == "46"
    app = visit("pages/results.py", model=run.id, **{"results-image": "test:1"})
    assert not app.exception
    assert not app.error
    assert "Open in Draw" not in words(app)


def test_the_class_explained_is_the_answer_until_one_is_chosen():
    _, app = inside(image="test:3", view="saliency")
    assert app.selectbox(key="inside-target").value is None
    assert "target" not in app.query_params
    answer = words(app).split("### ")[1][0]
    assert f"Blue speaks for {answer}" in words(app)


def test_a_method_that_failed_for_a_model_is_not_offered():
    (failed,) = {row["method"] for row in record() if row["model"] == "pen" and row["low"] <= 0}
    app = visit(PAGE, **{"canvas-0": drawn_seven(), "inside-view": "saliency", "inside-method": failed})
    assert not app.exception
    assert "Grad-CAM is not offered for this model" in words(app)
    assert "Held to account: blanking the tenth of ink" in words(app)


def test_the_draw_only_mode_does_not_show_it(monkeypatch):
    monkeypatch.setenv("MNIST_LAB_MODE", "draw-only")
    assert "Draw page only" in words(visit(PAGE))


def test_without_a_drawing_a_test_image_is_shown():
    _, app = inside()
    assert "every layer of the network shows" not in words(app)
    assert app.query_params["image"] == "test:0"


def test_draw_shows_every_layer_on_request():
    app = visit("pages/draw.py", **{"canvas-0": drawn_seven(), "draw-layers": True})
    assert not app.exception
    opened = [button for button in app.button if button.key and button.key.startswith("draw-layer-open-")]
    assert len(opened) == len([a for a in activations_of_seven() if a.kind not in ("Dropout", "Flatten")])
    opened[3].click().run()
    assert not app.exception
    assert app.title[0].value == "Inside"
    assert app.session_state["inside-layer"] == opened[3].key.removeprefix("draw-layer-open-")
    assert not [b for b in visit("pages/draw.py").button if b.key and b.key.startswith("draw-layer-open-")]


def test_without_a_drawing_draw_invites_to_one():
    app = visit("pages/draw.py", **{"draw-layers": True})
    assert not app.exception
    assert "every layer of the network shows" in words(app)
