"""The graph against torch, with random weights and random statistics of batch norm."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mnist_core.config import Shape, TrainConfig, field_choices
from mnist_core.models.architectures import MODELS
from mnist_core.models.classifier import Classifier
from mnist_core.models.onnx_graph import IR_VERSION, OPSET, onnx_model
from tests.helpers.checkpoints import random_network

GREY, COLOUR = Shape(), Shape(3, 32, 29, 4)
TEMPERATURE = 1.7


def graph_of(model: Classifier, config: TrainConfig, shape: Shape, **options: object) -> onnx.ModelProto:
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    return onnx_model(config, shape, weights, model.mean.flatten().tolist(), model.std.flatten().tolist(), **options)


def run(graph: onnx.ModelProto, images: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"images": images.numpy()})
    return answer


def assert_agreement(config: TrainConfig, shape: Shape) -> None:
    model = random_network(config, shape)
    images = torch.rand(7, shape.channels, shape.height, shape.width, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        raw = model(images)
        model.temperature = TEMPERATURE
        logits = model(images)
    assert raw.std(dim=0).mean() > 0.01  # the pictures make a difference
    for expected, options in (
        (raw, {}),
        (logits, {"temperature": TEMPERATURE}),
        (logits.softmax(dim=1), {"temperature": TEMPERATURE, "output": "probabilities"}),
    ):
        graph = graph_of(model, config, shape, **options)
        onnx.checker.check_model(graph, full_check=True)
        np.testing.assert_allclose(run(graph, images), expected, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("head", field_choices("head"))
@pytest.mark.parametrize("shape", [GREY, COLOUR], ids=["grey", "colour"])
def test_every_architecture_answers_as_torch_does(name, batch_norm, head, shape):
    assert_agreement(TrainConfig(model=name, batch_norm=batch_norm, head=head, dropout=0.3), shape)


@pytest.mark.parametrize("activation", field_choices("activation"))
@pytest.mark.parametrize("name", ["small-cnn", "mlp"])
def test_every_activation_answers_as_torch_does(activation, name):
    assert_agreement(TrainConfig(model=name, activation=activation), GREY)


@pytest.mark.parametrize("output", ["logits", "probabilities"])
def test_the_graph_names_its_input_output_and_version(output):
    config = TrainConfig(model="compact")
    graph = graph_of(random_network(config, COLOUR), config, COLOUR, output=output)

    def dimensions(value: onnx.ValueInfoProto) -> list[object]:
        return [part.dim_param or part.dim_value for part in value.type.tensor_type.shape.dim]

    (given,), (answer,) = graph.graph.input, graph.graph.output
    assert (given.name, dimensions(given)) == ("images", ["N", 3, 32, 29])
    assert (answer.name, dimensions(answer)) == (output, ["N", 4])
    assert {value.type.tensor_type.elem_type for value in (given, answer)} == {onnx.TensorProto.FLOAT}
    assert [(opset.domain, opset.version) for opset in graph.opset_import] == [("", OPSET)]
    assert graph.ir_version == IR_VERSION


@pytest.mark.parametrize("count", [1, 2, 33])
def test_any_number_of_images_is_read(count):
    config = TrainConfig(model="small-resnet")
    model = random_network(config, GREY)
    images = torch.rand(count, 1, 28, 28)
    with torch.no_grad():
        np.testing.assert_allclose(run(graph_of(model, config, GREY), images), model(images), atol=1e-4)


def test_weights_of_other_dtypes_are_read_as_float32():
    config = TrainConfig(model="small-cnn")
    model = random_network(config, GREY)
    images = torch.rand(3, 1, 28, 28)
    weights = {name: tensor.numpy().astype(np.float64) for name, tensor in model.state_dict().items()}
    graph = onnx_model(config, GREY, weights, model.mean.flatten().tolist(), model.std.flatten().tolist())
    with torch.no_grad():
        np.testing.assert_allclose(run(graph, images), model(images), atol=1e-4)


def test_a_missing_weight_is_named():
    config = TrainConfig(model="mlp")
    weights = {name: tensor.numpy() for name, tensor in random_network(config, GREY).state_dict().items()}
    del weights["net.1.bias"]
    with pytest.raises(KeyError, match=r"net\.1\.bias"):
        onnx_model(config, GREY, weights, [0.1], [0.3])
