import itertools

import numpy as np
import pytest

from mnist_core.config import Shape, TrainConfig, parse_config
from mnist_core.data.loading import DATASETS, load_dataset
from mnist_core.errors import ConfigError
from mnist_core.models.classifier import build_model, count_parameters
from mnist_core.recipes import RECIPES, get_recipe
from mnist_core.training.loop import train
from mnist_core.training.state import TrainState


@pytest.mark.parametrize(("name", "dataset"), list(itertools.product(RECIPES, DATASETS)))
def test_every_recipe_fits_every_dataset(name, dataset):
    config = get_recipe(name).config(dataset)
    assert (config.recipe, config.dataset) == (name, dataset)
    assert parse_config(config.model_dump()) == config
    assert get_recipe(name).name == name


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_its_first_steps(name, tiny_data):
    config = get_recipe(name).config("digits")
    events = list(itertools.islice(train(TrainState(config, tiny_data), tiny_data), 3))
    assert [event["event"] for event in events] == ["start", "step", "step"]


def test_adapted_settings_are_for_their_dataset_only():
    quick = get_recipe("quick")
    assert quick.config("mnist").epochs == 1
    assert quick.config("digits").epochs == 20
    assert quick.config("digits").learning_rate == quick.config("mnist").learning_rate == 0.01
    assert quick.config("folder").epochs == 1


def test_the_classic_recipes_are_what_their_authors_trained():
    defaults = {"optimizer": "adam", "learning_rate": 1e-3, "schedule": "constant", "batch_norm": False, "epochs": 5}
    for name, batch_size, parameters in [("two-conv", 128, 1_199_882), ("mlp-baseline", 64, 109_386)]:
        config = get_recipe(name).config()
        assert defaults.items() <= config.model_dump().items()
        assert (config.dropout, config.rotation, config.ema_decay) == (0, 0, 0)
        assert config.batch_size == batch_size
        assert count_parameters(build_model(config, Shape())) == parameters


def test_a_recipe_says_what_it_is():
    assert len({recipe.title for recipe in RECIPES.values()}) == len(RECIPES)
    for recipe in RECIPES.values():
        assert len(recipe.summary) > 40
        assert set(recipe.settings) <= set(TrainConfig.model_fields) - {"recipe", "dataset"}
        assert set(recipe.adapted) <= {*DATASETS, "folder", "drawings"}


@pytest.mark.parametrize("name", ["", "Quick", "nope"])
def test_an_unknown_recipe_lists_those_there_are(name):
    with pytest.raises(ConfigError, match=rf"no recipe.*{', '.join(RECIPES)}"):
        get_recipe(name)


def test_recipes_hold_out_enough_images_of_each_class():
    labels = load_dataset("digits").train_labels
    for recipe in RECIPES.values():
        assert np.bincount(labels).min() * recipe.config("digits").validation_fraction >= 10, recipe.name
