import itertools
import json
from dataclasses import replace

import pytest
import torch

from mnist_core.cli import main
from mnist_core.config import TrainConfig
from mnist_core.data.loading import load_dataset
from mnist_core.experiments import speed as module
from mnist_core.experiments.speed import Baseline, Bench, Trained, baseline_training, multiplications, report

RESULT = Bench(
    quick=[Trained(0, 0.991, 2.0), Trained(1, 0.993, 4.0)],
    usual=[Baseline(1, 0.98, 30.0), Baseline(2, 0.99, 60.0)],
    parts={"forward": 1.0, "backward": 3.0},
    step_rate=100.0,
    product_rate=400.0,
    machine="a machine",
    test_images=10_000,
)


def test_the_ratio_needs_every_run_to_reach_the_target():
    assert RESULT.ratio == 60 / 3
    assert replace(RESULT, usual=RESULT.usual[:1]).ratio is None


def test_the_report_says_every_figure():
    text = report(RESULT)
    for part in ("99.200% ± 0.141%", "lowest 99.10%", "3.00 s", "longest 4.00 s", "20.0 times", "backward 75%", "400"):
        assert part in text
    assert "times sooner" not in report(replace(RESULT, usual=RESULT.usual[:1]))


def test_multiplications_are_those_of_the_layers():
    data = load_dataset("digits")
    assert multiplications(TrainConfig(model="mlp", batch_norm=False), data) == 784 * 128 + 128 * 64 + 64 * 10
    # two-conv by hand: 26² places of 3·3·1·32, 24² of 3·3·32·64, then 12·12·64·128 and 128·10
    by_hand = 26**2 * 288 + 24**2 * 18432 + 12 * 12 * 64 * 128 + 1280
    assert multiplications(TrainConfig(model="two-conv", batch_norm=False), data) == by_hand


def test_the_baseline_trains_and_is_judged_on_test_images(small_mnist):
    torch.manual_seed(0)
    epochs = list(baseline_training(small_mnist, load_dataset("digits")))
    assert [done.epoch for done in epochs] == list(range(1, 11))
    assert all(a.seconds < b.seconds for a, b in itertools.pairwise(epochs))
    assert epochs[-1].accuracy > 0.7 > epochs[0].accuracy  # 1,437 images, 12 steps an epoch


def test_the_command_prints_the_result_as_json(monkeypatch, capsys):
    monkeypatch.setattr(module, "bench", lambda seeds, data_dir, say: say("seed 0") or RESULT)
    assert main(["bench", "--seeds", "2", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out.splitlines()[-1])["ratio"] == 20
    assert "seed 0" in printed.err


@pytest.mark.parametrize("seeds", ["0", "101"])
def test_a_number_of_seeds_out_of_range_is_a_wrong_request(seeds, capsys):
    assert main(["bench", "--seeds", seeds]) == 2
    assert "from 1 to 100" in capsys.readouterr().err
