"""The Data page in AppTest: what it shows is what the library counts, for any number of classes and channels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from streamlit.testing.v1 import AppTest

from mnist_core.data import loading as module
from mnist_core.data.dataset import TITLES, Dataset
from mnist_core.data.loading import load_dataset
from mnist_core.data.splits import split
from mnist_core.runs.pool import WorkerPool
from mnist_core.system.settings import data_folder, runs_folder
from tests.helpers.pages import visit, words
from ui import cache
from ui.widgets import dataset

PAGE = "pages/data.py"


@pytest.fixture(autouse=True)
def _no_mnist(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path / "data"))


@pytest.fixture(autouse=True)
def _no_worker_to_wait_for(monkeypatch) -> None:
    """A pool without workers, which computes in this process."""

    class Ready(WorkerPool):
        def warm(self) -> None: ...

        def settled(self) -> bool:
            return True

    pool = Ready(runs_folder(), data_folder())
    monkeypatch.setattr(cache, "workers", lambda: pool)


@pytest.fixture
def offer(monkeypatch):
    """Puts a dataset of random pixels among those to choose from."""

    def offered(images: int, classes: int, shape: tuple[int, int, int]) -> Dataset:
        pixels = np.random.default_rng(0).integers(0, 256, (images, *shape), dtype=np.uint8)
        names = tuple(f"kind {label}" for label in range(classes))
        labels = np.arange(images) % classes
        random = Dataset(f"random-{classes}-{shape}", names, pixels, labels, pixels[:classes], labels[:classes])
        monkeypatch.setitem(module._LOADERS, random.name, lambda _: random)
        monkeypatch.setitem(TITLES, random.name, "random pixels")
        monkeypatch.setattr(dataset, "DATASETS", ("digits", random.name))
        return random

    return offered


def open_dataset(data: Dataset) -> AppTest:
    app = visit(PAGE)
    next(box for box in app.selectbox if box.label == "Dataset").select(data.name).run()
    assert not app.exception
    return app


def pictures(app: AppTest) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    """(caption, address) of the samples; addresses of the mean images and of the image with its variants.

    An address is made from the picture's content: equal addresses are equal pictures.
    """
    shown = [element.proto.imgs[0] for element in app.get("image")]
    original = next(index for index, image in enumerate(shown) if image.caption == "original")
    classes = len(app.dataframe[0].value) if app.dataframe else 0
    samples = [(image.caption, image.url) for image in shown[: original - classes]]
    means = [image.url for image in shown[original - classes : original]]
    return samples, means, [image.url for image in shown[original:]]


def box(app: AppTest, which: int):
    """The class of the samples (0), or of the augmented image (1)."""
    return [element for element in app.selectbox if element.label == "Class"][which]


def press(app: AppTest, label: str, which: int = 0) -> AppTest:
    return [button for button in app.button if button.label == label][which].click().run()


def turn(app: AppTest, **knobs: float) -> AppTest:
    for label, value in knobs.items():
        next(slider for slider in app.slider if slider.label.startswith(label)).set_value(value)
    return app.run()


def test_reshuffling_changes_the_25_samples_only():
    app = visit(PAGE)
    before = pictures(app)
    assert len(before[0]) == 25
    assert len({caption for caption, _ in before[0]}) > 4
    after = pictures(press(app, "Reshuffle"))
    assert len(after[0]) == 25
    assert after[0] != before[0]
    assert after[1:] == before[1:]


def test_the_class_filter_shows_this_class_alone():
    app = visit(PAGE)
    box(app, 0).select("7").run()
    first = pictures(app)[0]
    assert [caption for caption, _ in first] == ["7"] * 25
    assert len(set(first)) > 20
    second = pictures(press(app, "Reshuffle"))[0]
    assert [caption for caption, _ in second] == ["7"] * 25
    assert second != first


def test_the_table_counts_what_the_split_of_a_training_gives():
    app = visit(PAGE)
    turn(app, Validation=0.3)
    app.number_input[0].set_value(5).run()
    digits = load_dataset("digits")
    train, validation = split(digits.train_labels, 0.3, 5)
    table = app.dataframe[0].value
    assert table["training"].tolist() == np.bincount(digits.train_labels[train]).tolist()
    assert table["validation"].tolist() == np.bincount(digits.train_labels[validation]).tolist()
    assert table["test"].tolist() == np.bincount(digits.test_labels).tolist()
    assert table["held out"].tolist() == pytest.approx([0.3] * 10, abs=0.01)
    totals = {metric.label: metric.value for metric in app.metric}
    assert totals == {"Training": f"{len(train):,}", "Validation": str(len(validation)), "Test": "360"}
    assert "30.0% of the training images" in words(app)
    for images in (len(validation), 360):  # how far so many bound an accuracy
        interval = binomtest(round(0.99 * images), images).proportion_ci(method="wilson")
        assert f"**{100 * interval.low:.2f}–{100 * interval.high:.2f} %** with {images:,}" in words(app)


def test_mean_and_deviation_are_shown_before_and_after():
    app = visit(PAGE)
    pixels = load_dataset("digits").train_images.astype(float)
    assert f"mean **{pixels.mean():.3f}**, standard deviation **{pixels.std():.3f}**" in words(app)
    assert "mean **0.000**, standard deviation **1.000**" in words(app)
    app.button_group[0].set_value("unit").run()
    pixels /= 255
    assert f"mean **{pixels.mean():.3f}**, standard deviation **{pixels.std():.3f}**" in words(app)
    assert "mean **0.000**" not in words(app)


def test_augmentation_shows_variants_or_the_original_at_zero():
    app = visit(PAGE)
    original, *variants = pictures(app)[2]
    assert len(variants) == len({original, *variants}) - 1 == 15
    again = pictures(press(app, "Reshuffle", 1))[2]
    assert again[0] == original
    assert not set(again[1:]) & set(variants)
    turn(app, Rotation=0.0, Shift=0.0, Scaling=0.0, Slant=0.0)
    assert pictures(app)[2] == [original] * 16


def test_another_image_is_another_one_of_the_same_class():
    app = visit(PAGE)
    box(app, 1).select("4").run()
    first = pictures(app)[2][0]
    second = pictures(press(app, "Another image"))[2][0]
    assert first != second
    turn(app, Rotation=0.0, Shift=0.0, Scaling=0.0, Slant=0.0)
    assert set(pictures(app)[2]) == {second}


def test_the_knobs_are_not_those_of_the_train_page():
    app = turn(visit(PAGE), Rotation=45.0)
    app.switch_page("pages/train.py").run()
    next(choice for choice in app.selectbox if choice.label == "Recipe").select("accurate").run()
    assert next(slider for slider in app.slider if slider.label.startswith("Rotation")).value == 10.0


@pytest.mark.parametrize(
    ("classes", "shape"), [(2, (1, 8, 8)), (100, (3, 32, 32)), (3, (3, 200, 90)), (2, (1, 300, 300))]
)
def test_any_number_of_classes_and_any_shape_can_be_looked_at(offer, classes, shape):
    data = offer(max(12 * classes, 60), classes, shape)
    app = open_dataset(data)
    assert not app.error
    samples, means, variants = pictures(app)
    assert (len(samples), len(means), len(variants)) == (25, classes, 16)
    channels, height, width = shape
    assert f"in {classes} classes, {width}×{height} pixels, {'grey' if channels == 1 else 'colour'}" in words(app)
    assert ("(red, green, blue)" in words(app)) == (channels == 3)


def test_too_few_images_to_split_is_reported_and_data_shown(offer):
    app = open_dataset(offer(30, 30, (1, 8, 8)))
    assert any("cannot be split" in error.value for error in app.error)
    assert "Pixels before and after normalisation" in words(app)
    assert any(element.proto.imgs[0].caption == "original" for element in app.get("image"))


def test_a_class_without_training_images_has_none_to_show(offer):
    data = offer(60, 3, (1, 8, 8))
    data.train_labels[data.train_labels == 2] = 1
    app = open_dataset(data)
    box(app, 0).select("kind 2").run()
    box(app, 1).select("kind 2").run()
    assert not app.exception
    assert words(app).count("There is no training image of this class.") == 2


@pytest.mark.mnist
def test_real_mnist_is_shown_with_its_published_numbers(mnist_dir, monkeypatch):
    monkeypatch.setenv("MNIST_LAB_DATA", str(mnist_dir))
    app = visit(PAGE)
    assert not app.exception
    assert "60,000 training and 10,000 test images in 10 classes, 28×28 pixels, grey" in words(app)
    table = app.dataframe[0].value
    assert (table["training"] + table["validation"]).tolist()[:3] == [5923, 6742, 5958]
    assert table["test"].tolist()[:3] == [980, 1135, 1032]
    app.button_group[0].set_value("unit").run()
    assert "mean **0.131**, standard deviation **0.308**" in words(app)
