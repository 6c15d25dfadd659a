"""A network as an ONNX graph: its layers, normalisation and temperature, from their description and the weights.

ONNX, Open Neural Network Exchange, operator set 20: https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mnist_core.config import Shape, TrainConfig
from mnist_core.lazy import LazyModule
from mnist_core.models.architectures import describe
from mnist_core.models.layers import (
    Activation,
    AdaptiveAvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxMeanPool,
    MaxPool2d,
    Residual,
    Sequential,
)

if TYPE_CHECKING:
    import onnx
else:
    onnx = LazyModule("onnx")

Output = Literal["logits", "probabilities"]
OPSET = 20  # the first with GELU
IR_VERSION = 9  # the one that came with it, so that older runtimes read the file
INPUT, FEATURES = "images", "features"
_ACTIVATIONS: dict[str, tuple[str, dict[str, float | str]]] = {  # of torch.nn with its default arguments
    "ReLU": ("Relu", {}),
    "LeakyReLU": ("LeakyRelu", {"alpha": 0.01}),
    "GELU": ("Gelu", {"approximate": "none"}),
    "Tanh": ("Tanh", {}),
    "ELU": ("Elu", {"alpha": 1.0}),
}


def onnx_model(
    config: TrainConfig,
    shape: Shape,
    weights: Mapping[str, np.ndarray],
    mean: Sequence[float],
    std: Sequence[float],
    temperature: float = 1.0,
    output: Output = "logits",
    with_features: bool = False,
    weights_given: bool = False,
) -> onnx.ModelProto:
    """The network of `config` with `weights`, named as in `state_dict` of a Classifier ("net.0.weight").

    With `weights_given` they are further inputs, by their names, and only their shapes are looked at.

    Its input `images` is (N, C, H, W) float32 in [0, 1] for any N, its output `logits` or `probabilities` (N, classes)
    float32. Logits are divided by `temperature`, as a Classifier's are. `with_features` adds a second output,
    `features` (N, F) float32: what the last layer with weights is given. Raises KeyError where a weight is missing, and
    ConfigError.
    """
    graph = _Graph(weights, weights_given)
    scaled = graph.divide(graph.subtract(INPUT, _channels(mean)), _channels(std))
    last = graph.sequence(describe(config, shape), scaled, "net.")
    if config.head == "log-softmax":
        last = graph.add("LogSoftmax", [last], axis=1)
    if temperature != 1:
        last = graph.divide(last, np.array(temperature, np.float32))
    if output == "probabilities":
        last = graph.add("Softmax", [last], axis=1)
    graph.name("Identity", [last], output)
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    outputs = [helper.make_tensor_value_info(output, number, ["N", shape.classes])]
    if with_features:
        graph.name("Flatten", [graph.last_given], FEATURES, axis=1)
        outputs.append(helper.make_tensor_value_info(FEATURES, number, ["N", "F"]))
    return graph.model(config.model, shape, outputs)


def onnx_beginning(
    config: TrainConfig,
    shape: Shape,
    weights: Mapping[str, np.ndarray],
    mean: Sequence[float],
    std: Sequence[float],
    count: int,
    weights_given: bool = False,
) -> onnx.ModelProto:
    """The first `count` layers of the network of `config`, as in `onnx_model`; their output is called `maps`."""
    graph = _Graph(weights, weights_given)
    scaled = graph.divide(graph.subtract(INPUT, _channels(mean)), _channels(std))
    layers = describe(config, shape).layers[:count]
    graph.name("Identity", [graph.sequence(Sequential(*layers), scaled, "net.")], "maps")
    maps = onnx.helper.make_tensor_value_info("maps", onnx.TensorProto.FLOAT, ["N", "C", "H", "W"])
    return graph.model(config.model, shape, [maps])


def _channels(values: Sequence[float]) -> np.ndarray:
    return np.array(values, np.float32).reshape(1, -1, 1, 1)


class _Graph:
    """Nodes and tensors on the way to a graph. Its methods add nodes and return the name of the result.

    `last_given` is what the last layer with weights so far is given.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], given: bool = False) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self._given = given
        self.last_given = INPUT
        self._weights = weights

    def model(self, name: str, shape: Shape, outputs: Sequence[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """The graph so far, with images of `shape` as its first input."""
        helper, number = onnx.helper, onnx.TensorProto.FLOAT
        images = helper.make_tensor_value_info(INPUT, number, ["N", shape.channels, shape.height, shape.width])
        made = helper.make_graph(self.nodes, name, [images, *self.inputs], outputs, self.tensors)
        return helper.make_model(
            made, producer_name="mnist-lab", ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)]
        )

    def add(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        return self.name(operator, inputs, f"{operator.lower()}_{len(self.nodes)}", **attributes)

    def name(self, operator: str, inputs: Sequence[str], result: str, **attributes: Any) -> str:
        self.nodes.append(onnx.helper.make_node(operator, list(inputs), [result], name=result, **attributes))
        return result

    def tensor(self, name: str, values: np.ndarray) -> str:
        self.tensors.append(onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def subtract(self, value: str, by: np.ndarray) -> str:
        return self.add("Sub", [value, self.tensor(f"constant_{len(self.tensors)}", by)])

    def divide(self, value: str, by: np.ndarray) -> str:
        return self.add("Div", [value, self.tensor(f"constant_{len(self.tensors)}", by)])

    def sequence(self, network: Sequential, value: str, prefix: str) -> str:
        for place, layer in enumerate(network.layers):
            value = self.layer(layer, value, f"{prefix}{place}.")
        return value

    def layer(self, layer: Layer, value: str, prefix: str) -> str:
        if isinstance(layer, Conv2d | Linear):
            self.last_given = value
        match layer:
            case Residual():
                return self.add("Add", [value, self.sequence(layer, value, prefix)])
            case Sequential():
                return self.sequence(layer, value, prefix)
            case Conv2d(kernel_size=side, stride=stride, padding=padding, groups=groups, bias=bias):
                tensors = self._named(prefix, "weight", *(["bias"] if bias else []))
                window = _window(side, stride, padding)
                return self.add("Conv", [value, *tensors], group=groups, dilations=[1, 1], **window)
            case BatchNorm1d() | BatchNorm2d():
                tensors = self._named(prefix, "weight", "bias", "running_mean", "running_var")
                return self.add("BatchNormalization", [value, *tensors], epsilon=1e-5)
            case Activation("SiLU"):
                return self.add("Mul", [value, self.add("Sigmoid", [value])])
            case Activation(kind):
                operator, attributes = _ACTIVATIONS[kind]
                return self.add(operator, [value], **attributes)
            case MaxPool2d(side, stride, padding):
                return self.add("MaxPool", [value], **_window(side, stride or side, padding))
            case AdaptiveAvgPool2d():
                return self.add("GlobalAveragePool", [value])
            case MaxMeanPool():
                pooled = [self.add(operator, [value]) for operator in ("GlobalMaxPool", "GlobalAveragePool")]
                return self.add("Flatten", [self.add("Concat", pooled, axis=1)], axis=1)
            case Flatten():
                return self.add("Flatten", [value], axis=1)
            case Linear():
                return self.add("Gemm", [value, *self._named(prefix, "weight", "bias")], transB=1)
            case Dropout():  # does nothing outside training
                return value
        raise TypeError(f"There is no ONNX operator for {layer}.")

    def _named(self, prefix: str, *names: str) -> list[str]:
        return [self._weight(prefix + name) for name in names]

    def _weight(self, name: str) -> str:
        weight = self._weights[name]
        if not self._given:
            return self.tensor(name, weight.astype(np.float32))
        self.inputs.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, weight.shape))
        return name


def _window(side: int, stride: int, padding: int) -> dict[str, list[int]]:
    return {"kernel_shape": [side, side], "strides": [stride, stride], "pads": [padding] * 4}
