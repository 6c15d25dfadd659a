"""What the finished runs of a study say: against numpy, scipy and by hand, on events that are written here."""

import math
import shutil

import numpy as np
import pytest
from scipy import stats

from mnist_core.experiments.ablation import Factor, create_study
from mnist_core.experiments.significance import analyse, holm_correction
from tests.helpers.events import end, epoch
from tests.helpers.studies import BASE, finish, finish_all, study, write


def test_means_and_deviations_are_numpys_over_the_finished_seeds():
    made = study([0.0, 0.5], [0, 1, 2])
    losses = [[0.30, 0.32, 0.37], [0.20, 0.25, 0.24]]
    finish_all(made, losses)
    for result, row in zip(analyse(made).settings, losses, strict=True):
        assert result.seeds == [0, 1, 2]
        assert result.values["val_loss"] == row
        assert result.mean("val_loss") == pytest.approx(np.mean(row))
        assert result.std("val_loss") == pytest.approx(np.std(row, ddof=1))
        assert (result.mean("train_loss"), result.std("train_loss")) == (0.5, 0)
        assert (result.mean("val_accuracy"), result.mean("test_accuracy")) == pytest.approx((0.8, 0.9))
        assert result.curve_x.tolist() == [1, 2]
        assert result.curve.tolist() == [[1.0, loss] for loss in row]


def test_what_is_unfinished_deleted_or_damaged_is_left_out():
    made = study([0.0, 0.5], [0, 1, 2, 3, 4, 5])
    finish_all(made, [[0.3, 0.4, 0.5, 0.6, 0.7, 0.8]])
    finish(made.run(1, 0), 0.2)
    shutil.rmtree(made.run(1, 1).folder)
    finish(made.run(1, 2), 0.2)
    made.run(1, 2).finish("stopped")  # its events tell of an end all the same
    write(made.run(1, 3), [])
    write(made.run(1, 4), [epoch(1, val_loss=None), end(test_accuracy=0.9)])
    write(made.run(1, 5), [epoch(1), end(test_accuracy=math.nan)])
    analysis = analyse(made)
    assert [result.seeds for result in analysis.settings] == [[0, 1, 2, 3, 4, 5], [0]]
    (comparison,) = analysis.comparisons
    assert comparison.seeds == 1
    assert comparison.difference == pytest.approx(-0.1)
    assert "too few seeds" in comparison.sentence
    assert not comparison.beyond_noise


def test_a_study_without_any_finished_run_has_no_figures():
    analysis = analyse(study([0.0, 0.5], [0, 1]))
    result, (comparison,) = analysis.settings[0], analysis.comparisons
    assert (result.seeds, result.curve.shape) == ([], (0, 0))
    assert math.isnan(result.mean("val_loss"))
    assert math.isnan(result.std("val_loss"))
    assert "too few seeds" in comparison.sentence


def test_curves_of_unequal_length_end_with_the_shortest():
    made = study([0.0, 0.5], [0, 1])
    finish_all(made, [[0.3, 0.4]])
    events = (made.run(0, 0).folder / "metrics.jsonl").read_text().splitlines()
    (made.run(0, 0).folder / "metrics.jsonl").write_text("\n".join([events[0], events[1], events[3], ""]))
    assert analyse(made).settings[0].curve.tolist() == [[1.0], [1.0]]


# ---- tests ----------------------------------------------------------------------------------------------------------


def test_a_comparison_is_scipys_paired_t_test():
    made = study([0.0, 0.5, 0.25], [0, 1, 2, 3, 4])
    random = np.random.default_rng(0)
    losses = random.normal(0.4, 0.05, (3, 5)) - [[0], [0.1], [0]]
    finish_all(made, losses.tolist())
    made.run(0, 1).finish("failed")
    made.run(1, 4).finish("failed")
    first, second = analyse(made).comparisons
    raw = []
    for comparison, index, shared in ((first, 1, [0, 2, 3]), (second, 2, [0, 2, 3, 4])):
        expected = stats.ttest_rel(losses[index, shared], losses[0, shared])
        interval = expected.confidence_interval(0.95)
        assert comparison.seeds == len(shared)
        assert comparison.difference == pytest.approx((losses[index, shared] - losses[0, shared]).mean())
        assert (comparison.low, comparison.high) == pytest.approx((interval.low, interval.high))
        assert comparison.p == pytest.approx(expected.pvalue)
        raw.append(expected.pvalue)
    # Holm for two: the smaller doubled, the larger at least that
    smaller = min(1, 2 * min(raw))
    for comparison, p in zip((first, second), raw, strict=True):
        assert comparison.p_corrected == pytest.approx(smaller if p == min(raw) else max(smaller, p))
        assert comparison.beyond_noise == (comparison.p_corrected < 0.05)


def test_a_t_test_by_hand():
    # differences 1, 2, 3: mean 2, deviation 1, t = 2√3; with 2 degrees of freedom p = 1 - t / √(t² + 2)
    made = study([0.0, 0.5], [7, 8, 9])
    finish_all(made, [[1.0, 1.5, 0.5], [2.0, 3.5, 3.5]])
    (comparison,) = analyse(made).comparisons
    assert comparison.difference == pytest.approx(2)
    assert comparison.p == comparison.p_corrected == pytest.approx(1 - math.sqrt(12 / 14))
    half = 4.302653 / math.sqrt(3)  # Student's t for 95 % and 2 degrees of freedom, from a printed table
    assert (comparison.low, comparison.high) == pytest.approx((2 - half, 2 + half), rel=1e-6)
    assert comparison.sentence == (
        "dropout 0.5 against dropout 0.0: validation loss +2.0000 (95 % interval -0.4841 to +4.4841; paired t-test "
        "over 3 seeds, p = 0.074 after Holm's correction): not more than seed noise."
    )


def test_accuracies_are_told_in_points():
    made = study([0.0, 0.5], [0, 1, 2])
    for seed, (one, other) in enumerate([(0.90, 0.95), (0.91, 0.9601), (0.92, 0.9699)]):
        finish(made.run(0, seed), 0.3, one)
        finish(made.run(1, seed), 0.3, other)
    (comparison,) = analyse(made, "test_accuracy").comparisons
    assert comparison.beyond_noise
    assert "test accuracy +5.00 points (95 % interval" in comparison.sentence
    assert comparison.sentence.endswith("after Holm's correction): more than seed noise.")


@pytest.mark.parametrize(
    ("others", "amount"),
    [([0.3, 0.4, 0.7], "+0.0000"), ([0.4, 0.5, 0.8], "+0.1000")],
    ids=["equal", "a constant apart"],
)
def test_differences_without_spread_are_told_and_not_tested(others, amount):
    made = study([0.0, 0.5], [0, 1, 2])
    finish_all(made, [[0.3, 0.4, 0.7], others])
    (comparison,) = analyse(made).comparisons
    assert math.isnan(comparison.p)
    assert not comparison.beyond_noise
    assert f"validation loss {amount} with each of 3 seeds" in comparison.sentence
    assert "too few" not in comparison.sentence
    assert "nan" not in comparison.sentence


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # 0.01 × 3; 0.03 × 2; 0.04 × 1, yet not below the one before
        ([0.5, 0.6], [1.0, 1.0]),
        ([math.nan, 0.02, 0.03], [math.nan, 0.04, 0.04]),
        ([0.04], [0.04]),
        ([], []),
    ],
)
def testholm_corrections_correction_by_hand(p_values, corrected):
    assert holm_correction(p_values) == pytest.approx(corrected, nan_ok=True)


def test_main_effects_average_over_the_other_factor():
    factors = [Factor("dropout", [0.0, 0.5]), Factor("batch_norm", [False, True])]
    made = create_study(BASE, factors, [0, 1, 2])
    # in the order of the settings: (0, off), (0, on), (0.5, off), (0.5, on)
    losses = np.array([[0.30, 0.32, 0.37], [0.28, 0.27, 0.31], [0.20, 0.26, 0.24], [0.22, 0.21, 0.29]])
    finish_all(made, losses.tolist())
    dropout, norm = analyse(made).main_effects
    assert (dropout.setting, dropout.baseline) == ({"dropout": 0.5}, {"dropout": 0.0})
    assert (norm.setting, norm.baseline) == ({"batch_norm": True}, {"batch_norm": False})
    for effect, ours, theirs in ((dropout, losses[2:], losses[:2]), (norm, losses[1::2], losses[::2])):
        test = stats.ttest_rel(ours.mean(axis=0), theirs.mean(axis=0))
        assert effect.difference == pytest.approx(ours.mean() - theirs.mean())
        assert effect.p == pytest.approx(test.pvalue)
        assert (effect.low, effect.high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert max(dropout.p_corrected, norm.p_corrected) <= 2 * max(dropout.p, norm.p)


def test_one_factor_has_no_main_effects_beside_its_comparisons():
    made = study([0.0, 0.5], [0, 1])
    finish_all(made, [[0.3, 0.4], [0.2, 0.3]])
    assert analyse(made).main_effects == []
