"""Ranges of a search: what is typed, and what makes no sense."""

import pytest

from mnist_core.config import NETWORK, TrainConfig
from mnist_core.errors import ConfigError
from mnist_core.experiments.search_space import SEARCHABLE, Range, check_networks, checked_space, parse_range
from mnist_core.models.checkpoint import find_checkpoint, read_card
from tests.helpers.runs import CONFIG


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("learning_rate=1e-4:1e-1:log", Range("learning_rate", 1e-4, 0.1, True)),
        ("dropout = 0 : 0.5", Range("dropout", 0.0, 0.5)),
        ("epochs=2:9", Range("epochs", 2, 9)),
        ("batch-size=32,64,128", Range("batch_size", choices=(32, 64, 128))),
        ("batch_norm=on,off", Range("batch_norm", choices=(True, False))),
        ("optimizer=adam,sgd", Range("optimizer", choices=("adam", "sgd"))),
        ("dropout=0,0.25", Range("dropout", choices=(0.0, 0.25))),
        ("init_from=shelf:a,shelf:b", Range("init_from", choices=("shelf:a", "shelf:b"))),
    ],
)
def test_a_range_is_read_and_written(text, found):
    parsed = parse_range(text, CONFIG)
    assert parsed == found
    assert parse_range(parsed.text, CONFIG) == found
    assert parsed.whole == isinstance(found.low, int)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("learning_rate", "is no range"),
        ("learning_rate=", "is no range"),
        ("speed=1:2", "There is no setting 'speed'"),
        ("learning_rate=0.1:0.01", "should go up"),
        ("learning_rate=0.1:0.1", "should go up"),
        ("dropout=0:0.5:log", "begins above 0"),
        ("dropout=0:1.5", "dropout should be less than or equal to 0.9"),
        ("learning_rate=0:1", "learning_rate should be greater than or equal to 0.000001"),
        ("dropout=low:0.5", "'low' is no number"),
        ("dropout=nan:0.5", "'nan' is no number"),
        ("epochs=1.5:3", "'1.5' is no whole number"),
        ("dropout=0:0.5:exp", "only ':log' may follow"),
        ("dropout=0:0.1:0.5", "only ':log' may follow"),
        ("batch_norm=0:1", "is no number"),
        ("optimizer=adam,lion", "optimizer should be 'adam', 'adamw' or 'sgd'"),
        ("optimizer=adam", "at least two values"),
        ("batch_size=32,32", "each of them once"),
        ("seed=0:100", "the best seed is luck"),
        ("dataset=mnist,digits", "other images"),
        ("validation_fraction=0.1:0.2", "other images"),
    ],
)
def test_a_range_without_sense_is_one_sentence(text, said):
    with pytest.raises(ConfigError) as caught:
        checked_space([parse_range(text, CONFIG)], CONFIG)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ranges_are_given_once_and_at_least_one():
    dropout = Range("dropout", 0.0, 0.5)
    with pytest.raises(ConfigError, match="at least one range"):
        checked_space([], CONFIG)
    with pytest.raises(ConfigError, match="dropout has two ranges"):
        checked_space([dropout, Range("dropout", choices=(0.0, 0.1))], CONFIG)
    rate = Range("learning_rate", 1e-4, 0.1, True)
    assert checked_space([rate, dropout], CONFIG) == checked_space([dropout, rate], CONFIG)


def test_every_setting_is_searched_or_said_why_not():
    assert len(SEARCHABLE) > 25
    assert {"learning_rate", "dropout", "model", "epochs", "weight_decay"} <= set(SEARCHABLE)
    assert set(SEARCHABLE) < set(TrainConfig.model_fields)


def test_an_end_that_cannot_be_trained_is_refused():
    with pytest.raises(ConfigError, match="nothing"):
        check_networks(CONFIG, [parse_range("model=mlp,nothing", CONFIG)])
    card = read_card(find_checkpoint("tiny"))
    network = {name: getattr(card.config, name) for name in NETWORK} | {"model": card.architecture}
    begun = CONFIG.replace(init_from="tiny", **network)
    assert check_networks(begun, [parse_range("dropout=0:0.5", begun)]) == ""
    ranges = [parse_range(f"activation={begun.activation},tanh", begun)]
    with pytest.raises(ConfigError, match="is another network"):
        check_networks(begun, ranges)
    assert check_networks(CONFIG, [parse_range("dropout=0:0.5", CONFIG)]) == ""
