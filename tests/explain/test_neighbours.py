import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from mnist_core.explain.neighbours import features, nearest
from mnist_core.models.architectures import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_features_and_the_last_layer_give_the_logits(name, network):
    model = network(name)
    images = torch.randint(0, 256, (4, 1, 28, 28), dtype=torch.uint8)
    found = features(model, images)
    *_, last = (m for m in model.net.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d))
    given = found.view(4, -1, 3, 3) if isinstance(last, torch.nn.Conv2d) else found
    with torch.inference_mode():
        logits = last(given).flatten(2).mean(dim=2) if given.dim() == 4 else last(given)
        np.testing.assert_allclose(logits, model(images / 255), atol=1e-4)


def test_neighbours_are_those_of_scikit_learn():
    random = torch.Generator().manual_seed(3)
    bank, query = torch.randn(400, 20, generator=random), torch.randn(20, generator=random)
    found = nearest(bank, query)
    distances, rows = NearestNeighbors(n_neighbors=8).fit(bank.numpy()).kneighbors(query[None].numpy())
    assert found.rows.tolist() == rows[0].tolist()
    np.testing.assert_allclose(found.distances, distances[0], rtol=1e-5)


def test_a_small_bank_gives_all_it_has():
    assert len(nearest(torch.zeros(3, 2), torch.ones(2)).rows) == 3


def test_progress_reaches_one(network):
    shares = []
    features(network("mlp"), torch.zeros(1100, 1, 28, 28, dtype=torch.uint8), shares.append)
    assert shares == sorted(shares)
    assert (len(shares), shares[-1]) == (3, 1.0)
