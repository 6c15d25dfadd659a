import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from mnist_core.explain.neighbours import features, nearest
from mnist_core.models.architectures import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_features_and_the_last_layer_give_the_logits(name, network):
    model = network(name)
    images = np.random.default_rng(0).integers(0, 256, (4, 1, 28, 28), dtype=np.uint8)
    found = torch.from_numpy(features(model, images))
    *_, last = (m for m in model.net.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d))
    given = found.view(4, -1, 3, 3) if isinstance(last, torch.nn.Conv2d) else found
    with torch.inference_mode():
        logits = last(given).flatten(2).mean(dim=2) if given.dim() == 4 else last(given)
        np.testing.assert_allclose(logits, model(torch.from_numpy(images) / 255), atol=1e-4)


def test_neighbours_are_those_of_scikit_learn():
    random = np.random.default_rng(3)
    bank, query = (random.standard_normal(shape, np.float32) for shape in ((400, 20), 20))
    found = nearest(bank, query)
    distances, rows = NearestNeighbors(n_neighbors=8).fit(bank).kneighbors(query[None])
    assert found.rows.tolist() == rows[0].tolist()
    np.testing.assert_allclose(found.distances, distances[0], rtol=1e-5)


def test_a_small_bank_gives_all_it_has():
    assert len(nearest(np.zeros((3, 2)), np.ones(2)).rows) == 3


def test_progress_reaches_one(network):
    shares = []
    features(network("mlp"), np.zeros((1100, 1, 28, 28), np.uint8), shares.append)
    assert shares == sorted(shares)
    assert (len(shares), shares[-1]) == (3, 1.0)
