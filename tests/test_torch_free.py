"""What needs no torch does not load it: importing it takes seconds and 200 MB, which a server of drawings can spare."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_core.config import Shape, TrainConfig
from mnist_core.drawing.strokes import render_strokes
from mnist_core.models.weights_file import write_weights_file
from tests.helpers import ROOT
from tests.helpers.checkpoints import random_network
from tests.helpers.drawing import EIGHT, SEVEN
from tests.helpers.files import encoded, write_folder

PREDICT = """
from mnist_core.drawing.strokes import render_strokes
from mnist_core.inference.predictor import Predictor
predictor = Predictor("pen")
answer = predictor.predict(render_strokes({strokes}, (100, 100)))
assert answer.digit == 7 and answer.model_input.shape == (28, 28), answer
assert predictor.rejections(answer.model_input[None, None], answer.probabilities[None]) == [answer.rejection]
"""

DATA = """
from mnist_core.config import TrainConfig
from mnist_core.data.auxiliary import with_extra
from mnist_core.data.classes import relabel
from mnist_core.data.prepare import load_for
from mnist_core.data.splits import arrange, train_and_validation
from mnist_core.data.statistics import class_counts, ground_level, mean_images, pixel_statistics, split_table
for settings in ({{}}, {{"split": "pooled"}}):
    config = TrainConfig(dataset={name!r}, validation_fraction=0.3, test_fraction=0.2, **settings)
    data = arrange(load_for(config), config)
    train, validation = train_and_validation(data, config)
    count = len(data.classes)
    assert class_counts(data.train_labels, count).sum() == len(train) + len(validation)
    assert mean_images(data.train_images, data.train_labels, count).shape[0] == count
    split_table(data.train_labels, validation, count, 50)
    pixel_statistics(data.train_images[train]), ground_level(data.train_images), data.fingerprint
    relabel(data, data.classes[::-1])
    if data.shape.height == 28 and count == 10:
        with_extra(data, config.replace(non_digits=20))
"""

EVALUATE = """
from mnist_core.data.loading import load_dataset
from mnist_core.explain.projection import project
from mnist_core.inference.calibration import calibrated, reliability
from mnist_core.inference.disagreement import disagreement
from mnist_core.inference.metrics import evaluate
from mnist_core.inference.predictor import Predictor
data, results = load_dataset("digits"), []
for name in ("pen", "tiny"):
    network = Predictor(name).network
    features = network.infer_with_features(data.test_images)[1]
    assert [len(project(method, features[:50]).points) for method in ("pca", "t-sne")] == [50, 50]
    results.append(evaluate(network, data.test_images, data.test_labels, lambda share: None))
    assert results[-1].accuracy > 0.9
    calibrated(network.infer(data.test_images), data.test_labels)
    reliability(results[-1].confidence, results[-1].right)
disagreement(*results)
"""

BREAK = """
from mnist_core.data.loading import load_dataset
from mnist_core.drawing.naive import boxed, shrunk
from mnist_core.figures.robustness import robustness_figure
from mnist_core.inference.corruptions import CORRUPTIONS
from mnist_core.inference.predictor import Predictor
from mnist_core.inference.robustness import robustness, verdict
from ui.panels import break_it, robustness as panel
data, network = load_dataset("digits"), Predictor("tiny").network
for name in CORRUPTIONS:
    found = robustness(network, data.test_images[:9], data.test_labels[:9], name)
    verdict(found), robustness_figure({"tiny": found})
boxed(data.test_images[0, 0]), shrunk(data.test_images[0, 0])
"""

OVER_TIME = """
from pathlib import Path
import server.looks, mnist_core.runs.looks
from mnist_core.data.loading import load_dataset
from mnist_core.inference.first_layer import filters, maps
from mnist_core.inference.learning import answers
from mnist_core.models.weights_file import read_weights_file
from mnist_core.runs.frames import in_fixed_directions
data, checkpoint = load_dataset("digits"), read_weights_file(Path({path!r}))
found = answers(checkpoint, data.test_images, data.test_labels)
assert in_fixed_directions([found.features])[0].shape == (len(data.test_labels), 2)
assert filters(checkpoint) is not None and maps(checkpoint, data.test_images[0]) is not None
"""

SEARCH = """
from mnist_core.experiments.search import list_searches, open_search
from mnist_core.experiments.search_winner import read_winner
from mnist_core.figures.search import Axis, Point, parallel_figure
from mnist_core.config import TrainConfig
from mnist_core.experiments.search import begin_search
from mnist_core.experiments.search_plan import checked_budget, make_plan
from mnist_core.experiments.search_space import parse_range
from mnist_core.experiments.search_work import take
base = TrainConfig(dataset="digits", model="mlp")
begun = begin_search(make_plan(base, [parse_range("dropout=0:0.5", base)]), checked_budget(2, None))
for value in (0.9, 0.95):
    taken = take(begun)
    begun.plan.ranges[0].suggest(taken.trial)
    begun.study.tell(taken.trial, value)
    taken.lock.release()
(plan,) = list_searches()
search = open_search(plan.name)
points = [Point(one.number, one.value, False, one.settings) for one in search.trials()]
assert search.best().value == 0.95 and read_winner(search) is None
assert parallel_figure(points, [Axis(one.field, one.log, one.choices) for one in plan.ranges])
"""

LAYERS = """
from mnist_core.config import Shape, TrainConfig
from mnist_core.models.architectures import MODELS
from mnist_core.models.layer_table import layer_table
assert all(layer_table(TrainConfig(model=name), Shape()) for name in MODELS)
"""

COMMANDS = """
from mnist_core.cli import main
assert main({arguments!r}) == 0
"""


def torch_is_loaded(program: str) -> bool:
    """Runs `program` in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    last = "\nimport sys\nprint('torch is loaded:', 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program + last], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {"torch is loaded: True": True, "torch is loaded: False": False}[done.stdout.splitlines()[-1]]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Pictures of two classes."""
    drawings = {
        f"{name}/{n}.png": encoded(render_strokes(strokes, (100, 100), brush=10 + n))
        for name, strokes in (("seven", SEVEN), ("eight", EIGHT))
        for n in range(12)
    }
    return write_folder(tmp_path / "set", drawings)


def test_a_program_that_loads_torch_is_found():
    assert torch_is_loaded("import mnist_core.models.classifier")


def test_answers_and_tables_need_no_torch():
    assert not torch_is_loaded(PREDICT.format(strokes=SEVEN) + EVALUATE + LAYERS)


def test_a_search_is_read_without_torch():
    assert not torch_is_loaded(SEARCH)


def test_images_are_broken_without_torch():
    assert not torch_is_loaded(BREAK)


def test_snapshots_are_looked_at_without_torch(tmp_path):
    config = TrainConfig(model="small-cnn")
    path = tmp_path / "w.safetensors"
    write_weights_file(
        path,
        random_network(config, Shape()),
        name="a test",
        architecture=config.model,
        classes=list("0123456789"),
        input_shape=(1, 28, 28),
        dataset="digits",
        config=config,
        epoch=0,
        step=0,
        train_seconds=0,
    )
    assert not torch_is_loaded(OVER_TIME.format(path=str(path)))


def test_digits_and_folders_are_prepared_without_torch(folder):
    assert not torch_is_loaded("".join(DATA.format(name=name) for name in ("digits", f"folder:{folder}")))


@pytest.mark.mnist
def test_mnist_is_prepared_without_torch(mnist_dir):
    assert not torch_is_loaded(DATA.format(name="mnist"))


def test_commands_of_prediction_need_no_torch(folder):
    picture = str(next(folder.rglob("*.png")))
    commands = (["predict", "pen", picture], ["evaluate", "pen", "--dataset", "digits"])
    assert not torch_is_loaded("".join(COMMANDS.format(arguments=arguments) for arguments in commands))
