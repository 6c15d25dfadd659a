"""Ranges and names are written out here by hand: a knob that changes its range must be changed in two places."""

import json

import pytest
from pydantic import ValidationError

from mnist_core.config import TrainConfig, field_choices, field_help, field_range, parse_assignments, parse_config
from mnist_core.errors import ConfigError

RANGES = {
    "dropout": (0, 0.9),
    "epochs": (1, 200),
    "batch_size": (8, 4096),
    "learning_rate": (1e-6, 10),
    "momentum": (0, 0.999),
    "weight_decay": (0, 1),
    "l2_first": (0, 1),
    "step_epochs": (1, 200),
    "step_factor": (0, 1),
    "label_smoothing": (0, 0.5),
    "ema_decay": (0, 0.9999),
    "rotation": (0, 45),
    "translation": (0, 8),
    "scaling": (0, 0.5),
    "shear": (0, 45),
    "elastic": (0, 6),
    "erasing": (0, 32),
    "distillation": (0, 1),
    "extra_copies": (1, 100),
    "extra_invented": (0, 1),
    "non_digits": (0, 100_000),
    "rehearsal_images": (0, 1_000_000),
    "init_share": (0, 0.9),
    "test_fraction": (0, 0.5),
    "validation_fraction": (0, 0.5),
    "validations_per_epoch": (1, 20),
    "train_share": (0, 1),
    "label_noise": (0, 1),
    "threads": (0, 256),
    "patience": (0, 200),
    "seed": (0, 2**31 - 1),
}
EXCLUSIVE_LOW = {"step_factor", "test_fraction", "validation_fraction", "train_share"}
EXCLUSIVE_HIGH = {"label_noise"}


def test_the_table_above_names_every_number():
    numbers = {name for name, field in TrainConfig.model_fields.items() if field.annotation in (int, float)}
    assert numbers == set(RANGES)


@pytest.mark.parametrize("field", RANGES)
def test_both_ends_of_a_range_are_allowed_and_beyond_is_refused(field):
    low, high = RANGES[field]
    assert field_range(field) == (low, high)
    if field not in EXCLUSIVE_HIGH:
        assert getattr(parse_config({field: high}), field) == high
    if field not in EXCLUSIVE_LOW:
        assert getattr(parse_config({field: low}), field) == low
    ends = [*([low] if field in EXCLUSIVE_LOW else []), *([high] if field in EXCLUSIVE_HIGH else [])]
    for wrong in (low - 1, high + 1, *ends):
        with pytest.raises(ConfigError) as caught:
            parse_config({field: wrong})
        message = str(caught.value)
        assert message.startswith(field)
        assert f"(allowed: {low:g} to {high:g})" in message
        assert repr(wrong) in message
        assert message.endswith(".")


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("epochs", "abc"),
        ("epochs", 1.5),
        ("epochs", None),
        ("epochs", [1]),
        ("learning_rate", "nan"),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("dropout", {}),
        ("batch_norm", "perhaps"),
        ("optimizer", "lion"),
        ("schedule", 3),
        ("activation", "Relu"),
        ("normalization", None),
        ("model", 5),
        ("dataset", "x" * 301),
    ],
)
def test_a_wrong_value_is_named_in_one_short_sentence(field, wrong):
    with pytest.raises(ConfigError) as caught:
        parse_config({field: wrong})
    assert str(caught.value).startswith(f"{field} should ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_an_unknown_choice_lists_the_choices():
    with pytest.raises(ConfigError, match="'adam', 'adamw' or 'sgd'"):
        parse_config({"optimizer": "lion"})
    assert field_choices("optimizer") == ["adam", "adamw", "sgd"]


def test_an_unknown_setting_is_named_beside_those_that_exist():
    with pytest.raises(ConfigError, match=r"no setting 'dropuot'.*dropout"):
        parse_config({"dropuot": 0.1})


def test_every_problem_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        parse_config({"epochs": 0, "dropout": 2})
    assert "epochs" in str(caught.value)
    assert "dropout" in str(caught.value)


@pytest.mark.parametrize("wrong", [[1], "text", None, 3, {1: 2}])
def test_json_that_is_not_an_object_of_settings_is_refused(wrong):
    with pytest.raises(ConfigError, match="configuration"):
        parse_config(wrong)


def test_json_and_back_is_the_same_config():
    config = TrainConfig(recipe="mine", learning_rate=0.00123, batch_norm=False, schedule="cosine", seed=2**31 - 1)
    text = json.dumps(config.model_dump(mode="json"))
    assert parse_config(json.loads(text)) == config
    assert set(json.loads(text)) == set(TrainConfig.model_fields)


def test_replace_makes_a_validated_copy_and_leaves_the_original():
    config = TrainConfig(epochs=3)
    changed = config.replace(epochs=5, dropout="0.25")
    assert (config.epochs, config.dropout) == (3, 0.0)
    assert (changed.epochs, changed.dropout) == (5, 0.25)
    with pytest.raises(ConfigError, match="epochs"):
        config.replace(epochs=-1)
    with pytest.raises(ConfigError, match="colour"):
        config.replace(colour="red")


def test_a_config_cannot_be_changed_in_place():
    config = TrainConfig()
    with pytest.raises(ValidationError):
        config.epochs = 7
    assert config.epochs == 1


def test_assignments_become_typed_values():
    values = parse_assignments(["dropout=0.5", "batch-norm=false", " epochs = 3", "model=a=b"])
    config = TrainConfig().replace(**{**values, "model": "mlp"})
    assert (config.dropout, config.batch_norm, config.epochs) == (0.5, False, 3)
    assert values["model"] == "a=b"
    assert parse_assignments([]) == {}


@pytest.mark.parametrize("wrong", ["nope=1", "dropout", "=1", "", "dropout 0.5", "__class__=x"])
def test_an_invalid_assignment_is_refused_with_the_fields(wrong):
    with pytest.raises(ConfigError, match=r"FIELD=VALUE.*learning_rate"):
        parse_assignments([wrong])


@pytest.mark.parametrize("field", TrainConfig.model_fields)
def test_every_field_says_what_it_means(field):
    text = field_help(field)
    assert len(text) > 10
    assert text[0].isupper()
    assert text.endswith(".")
    assert not text.endswith("..")
