"""Saliency maps against plain autograd and loops."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mnist_core.config import Shape
from mnist_core.errors import ConfigError
from mnist_core.explain.activations import activations, as_batch
from mnist_core.explain.saliency import METHODS, attribute, class_scores, ground, last_maps, saliency
from mnist_core.models.architectures import MODELS
from tests.helpers import ROOT


def test_integrated_gradients_by_plain_autograd(network, stroke):
    model = network("small-cnn", activation="silu")
    found = saliency(model, stroke, "integrated-gradients", 3)
    image = as_batch(stroke)
    shares = (torch.arange(1000) + 0.5) / 1000
    points = (shares.view(-1, 1, 1, 1) * image).requires_grad_()
    (gradients,) = torch.autograd.grad(model(points)[:, 3].sum(), points)
    by_hand = (image * gradients.mean(dim=0))[0, 0].numpy()
    np.testing.assert_allclose(found.map, by_hand, atol=0.02 * np.abs(by_hand).max())
    with torch.inference_mode():
        change = float(model(image)[0, 3] - model(torch.zeros_like(image))[0, 3])
    assert found.score - found.baseline_score == pytest.approx(change, abs=1e-4)
    assert found.completeness_error == pytest.approx(abs(float(found.map.sum()) - change), abs=1e-3)
    assert found.completeness_error <= 0.01 * abs(change) + 1e-4


def test_grad_cam_by_plain_autograd(network, stroke):
    model = network("small-cnn")
    found = saliency(model, stroke, "grad-cam", 5, "5")
    inner = model.net[:6]((as_batch(stroke) - model.mean) / model.std).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model.net[6:](inner)[0, 5], inner)
    weighed = F.relu((gradient.mean(dim=(2, 3), keepdim=True) * inner).sum(dim=1, keepdim=True))
    by_hand = F.interpolate(weighed, (28, 28), mode="bilinear")[0, 0].detach().numpy()
    np.testing.assert_allclose(found.map, by_hand, atol=1e-4 * np.abs(by_hand).max() + 1e-7)
    assert found.layer == "5"


def test_occlusion_by_a_loop_over_windows(network, stroke):
    model = network("mlp")
    found = saliency(model, stroke, "occlusion", 1)
    image, total, count = as_batch(stroke), np.zeros((28, 28)), np.zeros((28, 28))
    with torch.inference_mode():
        whole = float(model(image)[0, 1])
        for row in range(0, 25, 2):
            for column in range(0, 25, 2):
                covered = image.clone()
                covered[:, :, row : row + 4, column : column + 4] = 0
                total[row : row + 4, column : column + 4] += whole - float(model(covered)[0, 1])
                count[row : row + 4, column : column + 4] += 1
    np.testing.assert_allclose(found.map, total / count, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_maps_of_many_images_are_those_of_each(method, network, stroke):
    model = network("small-cnn")
    images = torch.cat([as_batch(stroke), as_batch(stroke.T.copy())])
    together = attribute(model, images, torch.tensor([2, 7]), method, "5")
    for row, (image, target) in enumerate(((stroke, 2), (stroke.T.copy(), 7))):
        alone = attribute(model, as_batch(image), torch.tensor([target]), method, "5")[0]
        np.testing.assert_allclose(together[row], alone, atol=1e-4 * float(alone.abs().max()))


@pytest.mark.parametrize("name", MODELS)
def test_every_architecture_has_maps_of_its_inputs_size(name, network, stroke):
    model = network(name, head="log-softmax")
    convolutional = any(a.has_maps and a.kind == "Conv2d" for a in activations(model, stroke))
    for method in METHODS:
        if method == "grad-cam" and not convolutional:
            with pytest.raises(ConfigError, match="dense layers only"):
                saliency(model, stroke, method)
            continue
        found = saliency(model, stroke, method)
        assert found.map.shape == (28, 28)
        assert np.isfinite(found.map).all()
        assert found.target == int(model(as_batch(stroke)).argmax())


def test_a_log_softmax_head_is_left_out_of_the_score(network, stroke):
    plain, headed = network("mlp"), network("mlp", head="log-softmax")
    maps = [saliency(model, stroke, "integrated-gradients", 4).map for model in (plain, headed)]
    np.testing.assert_array_equal(*maps)
    batch = as_batch(stroke)
    np.testing.assert_allclose(class_scores(headed)(batch).log_softmax(1).detach(), headed(batch).detach(), atol=1e-5)


def test_the_ground_is_that_of_the_training_images(network):
    grey, colour = network("mlp"), network("small-cnn", Shape(3, 16, 16, 4))
    assert ground(grey, torch.ones(1, 1, 2, 2)).tolist() == [[[[0, 0], [0, 0]]]]
    grey.mean.fill_(0.7)
    assert ground(grey, torch.ones(1, 1, 2, 2)).tolist() == [[[[1, 1], [1, 1]]]]
    grey.mean.fill_(0.3)
    np.testing.assert_allclose(ground(colour, torch.ones(1, 3, 1, 1)).flatten(), 0.3, atol=1e-6)


def test_grad_cam_looks_at_the_last_map_of_five_pixels(network, stroke):
    layers = {a.name: a for a in activations(network("lab-cnn"), stroke)}
    assert layers[last_maps(list(layers.values()))].output.shape == (48, 5, 5)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"method": "lime"}, "no method 'lime'"),
        ({"method": "occlusion", "target": 10}, "classes 0 to 9"),
        ({"method": "grad-cam", "layer_name": "77"}, "no layer '77'"),
    ],
)
def test_what_cannot_be_asked_is_said(asked, message, network, stroke):
    with pytest.raises(ConfigError, match=message):
        saliency(network("small-cnn"), stroke, **asked)


def test_captum_is_loaded_with_the_first_map_only():
    program = "import sys, mnist_core.explain.saliency; print('captum' in sys.modules, 'matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
