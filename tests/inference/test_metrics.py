"""Against a matrix small enough to count by hand, and against scikit-learn called directly."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn import metrics
from torch import nn

from mnist_core.inference.interval import accuracy_text, measured_interval, wilson_interval
from mnist_core.inference.metrics import evaluate, infer, loss_and_accuracy, summarize


class Spy(nn.Module):
    """Logits that are a function of the picture; notes the mode it is called in."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-2, 2, classes))
        self.modes: list[bool] = []
        self.sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.modes.append(self.training)
        self.sizes.append(len(x))
        return torch.sin(10 * x.mean(dim=(1, 2, 3))[:, None] * torch.arange(1, 5)) * self.weight


def pictures(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 1, 3, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


#       truth: 0  0  0  1  1  2
ANSWERS = [0, 0, 1, 1, 1, 0]


@pytest.fixture
def by_hand():
    logits = torch.full((6, 3), 0.0)
    for row, (answer, strength) in enumerate(zip(ANSWERS, [3.0, 1.0, 2.0, 4.0, 1.0, 5.0], strict=True)):
        logits[row, answer] = strength
    return summarize(logits, torch.tensor([0, 0, 0, 1, 1, 2]))


def test_three_classes_counted_by_hand(by_hand):
    assert by_hand.confusion.tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert by_hand.predicted.tolist() == ANSWERS
    assert by_hand.accuracy == pytest.approx(4 / 6)
    rows = [(c.label, c.precision, c.recall, c.f1, c.support) for c in by_hand.per_class]
    expected = [(0, 2 / 3, 2 / 3, 2 / 3, 3), (1, 2 / 3, 1, 0.8, 2), (2, 0, 0, 0, 1)]
    for row, wanted in zip(rows, expected, strict=True):
        assert row == pytest.approx(wanted)
    assert by_hand.weighted_f1 == pytest.approx((3 * 2 / 3 + 2 * 0.8) / 6)

    def surprise(strength: float, right: bool) -> float:
        return np.log(np.exp(strength) + 2) - (strength if right else 0)

    losses = [surprise(s, r) for s, r in [(3, 1), (1, 1), (2, 0), (4, 1), (1, 1), (5, 0)]]
    assert by_hand.loss == pytest.approx(np.mean(losses))
    assert by_hand.confidence[0] == pytest.approx(np.exp(3) / (np.exp(3) + 2))


def test_mistakes_and_cells_begin_with_the_most_confident(by_hand):
    assert by_hand.mistakes().tolist() == [5, 2]
    assert by_hand.cell(0, 0).tolist() == [0, 1]
    assert by_hand.cell(1, 1).tolist() == [3, 4]
    assert by_hand.cell(2, 0).tolist() == [5]
    assert by_hand.cell(2, 1).tolist() == []


def test_random_answers_have_scikit_learns_figures():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(500, 7, generator=generator) * 2
    labels = torch.randint(0, 6, (500,), generator=generator)  # class 6 never occurs
    result = summarize(logits, labels)
    exponentials = np.exp(logits.double().numpy())
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    predicted, truth, classes = probabilities.argmax(axis=1), labels.numpy(), range(7)
    np.testing.assert_allclose(result.probabilities, probabilities, atol=1e-6)
    assert result.accuracy == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert result.loss == pytest.approx(metrics.log_loss(truth, probabilities, labels=classes), rel=1e-5)
    np.testing.assert_array_equal(result.confusion, metrics.confusion_matrix(truth, predicted, labels=classes))
    report = metrics.classification_report(truth, predicted, labels=classes, output_dict=True, zero_division=0)
    assert result.weighted_f1 == pytest.approx(report["weighted avg"]["f1-score"])
    for c in result.per_class:
        theirs = report[str(c.label)]
        assert (c.precision, c.recall, c.f1, c.support) == pytest.approx(
            (theirs["precision"], theirs["recall"], theirs["f1-score"], theirs["support"])
        )
    assert result.per_class[6].support == 0

    wrong = result.mistakes()
    assert sorted(wrong) == np.flatnonzero(predicted != truth).tolist()
    assert np.all(np.diff(probabilities.max(axis=1)[wrong]) <= 1e-6)
    for true in classes:
        for guess in classes:
            cell = result.cell(true, guess)
            assert len(cell) == result.confusion[true, guess]
            assert set(truth[cell]) <= {true}
            assert set(predicted[cell]) <= {guess}


@pytest.mark.parametrize("count", [1, 499, 500, 501, 1203])
def test_large_sets_are_answered_in_pieces_as_if_in_one(count):
    model = Spy()
    images = pictures(count)
    with torch.no_grad():
        expected = Spy()(images.float() / 255)
    shares: list[float] = []
    logits = infer(model, images, shares.append)
    torch.testing.assert_close(logits, expected)
    assert max(model.sizes) <= 500
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] == 1
    assert not logits.requires_grad


@pytest.mark.parametrize("mode", [True, False])
def test_inference_uses_evaluation_mode_and_restores_the_mode(mode):
    model = Spy().train(mode)
    infer(model, pictures(3))
    assert model.modes == [False]
    assert model.training is mode

    def broken(_share: float) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        infer(model, pictures(3), broken)
    assert model.training is mode


def test_evaluate_and_its_short_form_agree_with_plain_counting():
    model, images = Spy(), pictures(700)
    labels = torch.arange(700) % 4
    with torch.no_grad():
        predicted = model(images.float() / 255).argmax(dim=1)
    shares: list[float] = []
    result = evaluate(model, images, labels, shares.append)
    loss, accuracy = loss_and_accuracy(infer(model, images), labels)
    assert accuracy == result.accuracy == pytest.approx((predicted == labels).double().mean().item())
    assert loss == pytest.approx(result.loss)
    assert shares[-1] == 1


@pytest.mark.parametrize(("right", "images"), [(0, 10), (10, 10), (9979, 10_000), (1, 2), (43, 61)])
def test_the_interval_of_an_accuracy_is_scipys(right, images):
    expected = binomtest(right, images).proportion_ci(method="wilson")
    assert wilson_interval(right, images) == pytest.approx((expected.low, expected.high), abs=1e-7)


def test_no_images_say_nothing_of_an_accuracy():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_the_interval_of_a_card_needs_the_number_of_images():
    metrics = {"test_accuracy": 0.9963, "test_images": 10_000.0, "val_accuracy": 0.9955}
    assert measured_interval(metrics, "test") == wilson_interval(9963, 10_000)
    assert measured_interval(metrics, "val") is None
    assert measured_interval({}, "test") is None


def test_an_accuracy_is_written_with_its_interval():
    low, high = wilson_interval(9963, 10_000)
    assert accuracy_text(0.9963, 10_000) == f"99.63% ({100 * low:.2f}–{100 * high:.2f})" == "99.63% (99.49–99.73)"
    assert accuracy_text(0.9963, 0) == accuracy_text(0.9963, None) == "99.63%"
