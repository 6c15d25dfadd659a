"""Every layer's answer, against the network taken apart by hand."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mnist_core.config import Shape, TrainConfig
from mnist_core.errors import ConfigError
from mnist_core.explain.activations import activations, as_batch, filters, private_copy
from mnist_core.models.architectures import MODELS
from mnist_core.models.layer_table import layer_table


@pytest.mark.parametrize("name", MODELS)
def test_every_architecture_shows_all_layers_of_its_table(name, network, stroke):
    model = network(name)
    found = activations(model, stroke)
    rows = layer_table(TrainConfig(model=name), Shape())
    assert [(a.name, a.output.shape, a.parameters) for a in found if a.kind != "Residual"] == [
        (row.name, row.output_shape, row.parameters) for row in rows
    ]
    with torch.inference_mode():
        np.testing.assert_allclose(found[-1].output, model(as_batch(stroke))[0].numpy(), rtol=1e-5, atol=1e-5)


def test_a_sum_of_a_shortcut_is_a_layer_of_its_own(network, stroke):
    found = {a.name: a for a in activations(network("residual-cnn"), stroke)}
    (name, *_) = (n for n, a in found.items() if a.kind == "Residual")
    inner = [a for n, a in found.items() if n.startswith(f"{name}.")]
    np.testing.assert_allclose(found[name].output, inner[0].given + inner[-1].output, rtol=1e-6)
    assert found[name].receptive_field == inner[-1].receptive_field


def test_a_log_softmax_head_is_the_last_layer(network, stroke):
    *_, last = activations(network("mlp", head="log-softmax"), stroke)
    assert (last.name, last.kind) == ("head", "LogSoftmax")
    assert np.exp(last.output).sum() == pytest.approx(1, abs=1e-5)


def test_a_feature_map_is_the_convolution_of_its_input(network, stroke):
    model = network("quick-cnn")
    first, *_ = activations(model, stroke)
    by_hand = F.conv2d(
        (torch.from_numpy(stroke / 255.0)[None, None].float() - 0.3) / 0.4, model.net[0].weight, stride=2
    )
    np.testing.assert_allclose(first.output, by_hand[0].detach().numpy(), rtol=1e-4, atol=1e-5)
    assert first.strongest == by_hand[0].abs().mean(dim=(1, 2)).argmax()
    assert first.title == "Conv2d 16×12×12"


def test_colour_images_come_with_channels_first_or_last(network):
    model = network("small-cnn", Shape(3, 32, 32, 4))
    image = np.random.default_rng(0).integers(0, 256, (3, 32, 32), np.uint8)
    first, last = (activations(model, given)[-1].output for given in (image, image.transpose(1, 2, 0)))
    assert first.tolist() == last.tolist()
    assert first.shape == (4,)


def test_layers_of_one_row_of_pixels_have_one_strength_a_unit(network, stroke):
    for activation in activations(network("compact"), stroke):
        assert activation.strength.shape == activation.output.shape[:1]
        assert activation.strength[activation.strongest] == np.abs(activation.strength).max()


def test_filters_are_kernels_or_weights_laid_out_as_an_image(network):
    conv, dense = network("lab-cnn"), network("mlp", Shape(3, 8, 8, 5))
    assert filters(conv, "0", Shape()).tolist() == conv.net[0].weight.tolist()
    pictures = filters(dense, "1", Shape(3, 8, 8, 5))
    assert pictures.shape == (128, 3, 8, 8)
    assert pictures[7, 2, 3, 4] == dense.net[1].weight[7, 2 * 64 + 3 * 8 + 4]
    assert filters(dense, "2", Shape(3, 8, 8, 5)) is None
    with pytest.raises(ConfigError, match="no layer 'x'"):
        filters(dense, "x", Shape(3, 8, 8, 5))


def test_threads_that_look_inside_do_not_disturb_each_other(network, stroke):
    model = network("lab-cnn")
    images = [np.roll(stroke, shift, axis=1) for shift in range(8)]
    expected = [activations(model, image)[-1].output.tolist() for image in images]
    with ThreadPoolExecutor(4) as pool:
        found = [inside[-1].output.tolist() for inside in pool.map(lambda image: activations(model, image), images * 5)]
    assert found == expected * 5


def test_a_private_copy_shares_its_weights(network):
    model = network("residual-cnn")
    copied = private_copy(model)
    for one, other in zip(model.state_dict().values(), copied.state_dict().values(), strict=True):
        assert one.data_ptr() == other.data_ptr()
    assert not set(model.modules()) & set(copied.modules())
