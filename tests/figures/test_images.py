import numpy as np

from mnist_core.figures.images import as_picture, enlarge


def test_enlarging_makes_squares_of_pixels():
    assert enlarge(np.array([[1, 2]]), 2).tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]
    assert enlarge(np.zeros((28, 28, 3), np.uint8)).shape == (196, 196, 3)


def test_pictures_have_their_channels_last_or_none():
    grey = np.arange(6).reshape(1, 2, 3)
    assert as_picture(grey).tolist() == [[0, 1, 2], [3, 4, 5]]
    colour = np.arange(12).reshape(3, 2, 2)
    assert as_picture(colour)[1, 0].tolist() == [2, 6, 10]
