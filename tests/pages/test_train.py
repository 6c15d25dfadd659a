"""The Train page's address, its knobs over all recipes, the network's layers, and the queue, through AppTest."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from mnist_core.config import Shape, TrainConfig
from mnist_core.models.classifier import build_model, count_parameters
from mnist_core.recipes import RECIPES, get_recipe
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import create_run
from mnist_core.system.settings import runs_folder
from tests.helpers.pages import FOLDS, visit, words
from ui import cache, warmup

PAGE = "pages/train.py"


pytestmark = pytest.mark.usefixtures("no_mnist_and_no_workers")


def opened(**address: str) -> AppTest:
    """The page in a fresh browser, at an address."""
    app = visit("home.py")
    for name, value in address.items():
        app.query_params[name] = value
    return app.switch_page(PAGE).run()


def address(app: AppTest) -> dict[str, str]:
    # AppTest gives a list for what it was told, and text for what the page wrote
    return {name: value if isinstance(value, str) else value[0] for name, value in app.query_params.items()}


def slider(app: AppTest, label: str):
    return next(each for each in app.slider if each.label == label)


def box(app: AppTest, label: str):
    return next(each for each in app.selectbox if each.label == label)


def test_the_address_names_recipe_dataset_and_changed_settings():
    app = opened()
    assert address(app) == {"recipe": "quick", "dataset": "digits"}
    slider(app, "Dropout").set_value(0.25).run()
    box(app, "Activation").select("silu").run()
    assert address(app) == {"recipe": "quick", "dataset": "digits", "dropout": "0.25", "activation": "silu"}


def test_settings_that_are_folded_up_keep_what_they_were_set_to():
    app = opened()
    box(app, "Activation").select("silu").run()
    slider(app, "Rotation (± degrees)").set_value(12.0).run()
    found = address(app)
    assert (found["activation"], found["rotation"]) == ("silu", "12.0")
    for name in FOLDS:
        app.session_state[name] = False
    app.run()
    labels = [each.label for each in (*app.selectbox, *app.slider)]
    assert "Dropout" in labels
    assert not {"Activation", "Rotation (± degrees)", "Validations per epoch"} & set(labels)
    assert address(app) == found
    assert "rotation 12" in words(app)
    assert "activation silu" in words(app)
    app.session_state["knobs-more"] = True
    app.run()
    assert box(app, "Activation").value == "silu"


def test_a_first_visit_is_not_sent_what_is_folded_up():
    app = visit(PAGE, folded=True)
    assert not app.file_uploader
    assert "Augmentation" in [each.label for each in app.expander]
    assert "Rotation (± degrees)" not in [each.label for each in app.slider]


def test_training_time_is_measured_after_workers_have_warmed_up(monkeypatch):
    settled, asked = [False], []
    monkeypatch.setattr(cache.workers, "settled", lambda self: settled[0])
    monkeypatch.setattr(cache, "measured_seconds", lambda config: asked.append(config) or 75.0)
    app = opened()
    assert not asked
    assert "How long it takes is being measured." in words(app)
    settled[0] = True
    app.run()
    assert asked
    assert "About 1:15 min of training on this machine." in words(app)


def test_the_page_stands_before_torch_is_loaded(monkeypatch):
    monkeypatch.setattr(warmup, "ready", lambda: False)
    app = opened()
    assert not app.exception
    assert "The layers of the network appear in a moment." in words(app)
    assert not next(button for button in app.button if button.label == "Run").disabled
    monkeypatch.undo()
    assert "The layers of the network appear in a moment." not in words(app.run())


def test_a_set_up_opens_elsewhere_as_it_was():
    first = opened()
    box(first, "Recipe").select("three-conv").run()
    slider(first, "Dropout").set_value(0.3).run()
    slider(first, "Rotation (± degrees)").set_value(7.0).run()
    next(each for each in first.toggle if each.label == "Batch norm").set_value(True).run()
    second = opened(**address(first))
    assert not second.error
    assert address(second) == address(first)
    assert box(second, "Recipe").value == "three-conv"
    assert slider(second, "Dropout").value == 0.3
    assert "Changed: batch norm on, dropout 0.3, rotation 7." in words(second)

    next(button for button in second.button if button.label == "Run").click().run()
    (run,) = Queue(runs_folder()).waiting()
    expected = get_recipe("three-conv").config("digits").replace(dropout=0.3, rotation=7.0, batch_norm=True)
    assert run.config() == expected


def test_fewer_images_and_wrong_labels_are_knobs():
    app = opened(recipe="quick", dataset="digits", train_share="0.3")
    slider(app, "Share of wrong labels").set_value(0.2).run()
    assert "Changed: train share 0.3, label noise 0.2." in words(app)
    assert address(app)["label_noise"] == "0.2"


def test_back_to_the_recipe_restores_every_setting():
    app = opened(recipe="quick", dataset="digits", dropout="0.5", epochs="150")
    assert slider(app, "Epochs").value == 150  # beyond the slider's usual end
    next(button for button in app.button if button.label == "Back to the recipe").click().run()
    assert slider(app, "Dropout").value == 0.0
    assert address(app) == {"recipe": "quick", "dataset": "digits"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"recipe": "nope"}, "There is no recipe 'nope'"),
        ({"dropout": "2"}, "dropout should be"),
        ({"dropout": "<b>x</b>"}, "dropout should be"),
        ({"colour": "red"}, "'colour=red' is not FIELD=VALUE"),
        ({"dataset": "imagenet"}, "There is no dataset 'imagenet'"),
    ],
)
def test_an_invalid_address_is_reported_and_the_page_works(asked, said):
    app = opened(**asked)
    assert not app.exception
    assert any(said in error.value for error in app.error)
    assert not next(button for button in app.button if button.label == "Run").disabled


def test_a_folder_in_the_address_that_is_not_there_is_a_sentence():
    app = opened(dataset="folder:/no/such/folder")
    assert not app.exception
    assert any("nothing at '/no/such/folder'" in error.value for error in app.error)
    assert next(button for button in app.button if button.label == "Run").disabled
    # the address is read once: what a person chooses next is not overruled by it
    box(app, "Dataset").select("digits").run()
    assert not app.error
    assert box(app, "Dataset").value == "digits"


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_can_be_set_up_and_its_knobs_give_it_back(recipe):
    app = opened(recipe=recipe, dataset="digits")
    assert not app.exception
    assert not app.error
    assert address(app) == {"recipe": recipe, "dataset": "digits"}
    config = get_recipe(recipe).config("digits")
    model = build_model(config, Shape(), [0.0], [1.0])
    (expander,) = (each for each in app.expander if each.label.startswith("The network"))
    assert expander.label.endswith(f"{count_parameters(model):,} parameters")
    assert expander.dataframe[0].value["parameters"].sum() == count_parameters(model)


def test_the_queue_shows_its_order_and_can_be_cancelled():
    runs = [create_run(TrainConfig(recipe=name, dataset="digits")) for name in ("quick", "accurate", "mlp-baseline")]
    for run in runs:
        Queue(runs_folder()).add(run)
    app = opened()
    assert "Waiting: 3" in words(app)
    said = words(app)
    assert said.index("1. quick") < said.index("2. accurate") < said.index("3. mlp\\-baseline")
    next(button for button in app.button if button.key == f"cancel-{runs[1].id}").click().run()
    assert Queue(runs_folder()).waiting() == [runs[0], runs[2]]
    assert runs[1].status().state == "stopped"
    assert "2. mlp\\-baseline" in words(app)
