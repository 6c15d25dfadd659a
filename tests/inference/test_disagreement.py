from math import comb

import numpy as np
import pytest

from mnist_core.inference.disagreement import disagreement, mcnemar_p
from mnist_core.inference.metrics import Evaluation, summarize


def answers(predicted: list[int], labels: list[int]) -> Evaluation:
    return summarize(5 * np.eye(3, dtype=np.float32)[predicted], np.array(labels))


def test_images_are_sorted_by_who_is_right():
    labels = [0, 1, 2, 0, 1]
    found = disagreement(answers([0, 1, 0, 1, 1], labels), answers([0, 2, 2, 2, 1], labels))
    assert found.first_alone.tolist() == [1]
    assert found.second_alone.tolist() == [2]
    assert found.both_wrong.tolist() == [3]
    assert found.rows.tolist() == [1, 2, 3]
    assert found.p == 1.0


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 3), (10, 2), (1, 15), (0, 6)])
def test_mcnemars_exact_test_by_counting(first, second):
    n = first + second
    tail = sum(comb(n, k) for k in range(min(first, second) + 1)) / 2**n
    assert mcnemar_p(first, second) == pytest.approx(min(1.0, 2 * tail))


def test_other_images_are_refused():
    with pytest.raises(ValueError, match="different images"):
        disagreement(answers([0, 1], [0, 1]), answers([0, 1], [1, 1]))


def test_a_model_agrees_with_itself():
    one = answers([0, 1, 2], [0, 1, 1])
    assert np.size(disagreement(one, one).rows) == 0
