"""Where a number's ink may be cut."""

import itertools

import numpy as np
import pytest

from mnist_core.drawing.segments import find_cuts, line_height


def bars(*spans: tuple[int, int], height: int = 120) -> np.ndarray:
    ink = np.zeros((height, max(stop for _, stop in spans)), np.float32)
    for start, stop in spans:
        ink[:, start:stop] = 1
    return ink


@pytest.mark.parametrize("through", [False, True])
def test_pieces_apart_are_cut_between_them(through):
    cuts = find_cuts(bars((0, 12), (60, 72), (110, 122)), through)
    free = np.flatnonzero(cuts.inked == 0)
    assert len(free) == 4  # two gaps and two ends
    parts = [cuts.part(start, stop) for start, stop in itertools.pairwise(free)]
    for part, (start, stop) in zip(parts, [(0, 12), (60, 72), (110, 122)], strict=True):
        expected = np.zeros_like(cuts.ink)
        expected[:, start:stop] = 1
        np.testing.assert_array_equal(part, expected)


def test_slanted_pieces_that_overlap_in_columns_are_parted():
    ink = np.zeros((120, 160), np.float32)
    for row in range(120):
        column = 70 - row // 2
        ink[row, column : column + 12] = ink[row, column + 50 : column + 62] = 1
    cuts = find_cuts(ink, through=False)
    assert len(cuts.seams) == 3
    assert cuts.part(0, 1).sum() == pytest.approx(cuts.part(1, 2).sum(), rel=0.02)


def test_touching_pieces_are_cut_where_the_ink_is_thinnest():
    ink = bars((0, 12), (60, 72))
    ink[58:64] = 1
    assert len(find_cuts(ink, through=False).seams) == 2
    cuts = find_cuts(ink, through=True)
    assert len(cuts.seams) > 2
    assert any(
        seam.min() >= 12 and seam.max() <= 60 and met < 10 for seam, met in zip(cuts.seams, cuts.inked, strict=True)
    )


def test_a_part_without_ink_or_too_wide_is_none():
    cuts = find_cuts(bars((0, 12), (300, 312)), through=False)
    assert cuts.part(0, len(cuts.seams) - 1) is None
    assert line_height(cuts.ink) == 120
    assert find_cuts(np.ones((120, 8), np.float32), through=True).part(0, 1) is not None
