"""Networks with random weights and statistics, and checkpoints of them."""

from pathlib import Path

import torch

from mnist_core.config import Shape, TrainConfig
from mnist_core.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mnist_core.models.classifier import Classifier, build_model


def random_network(config: TrainConfig, shape: Shape, seed: int = 0) -> Classifier:
    """In evaluation mode. No tensor has the value that it begins with, not even those of batch norm."""
    generator = torch.Generator().manual_seed(seed)
    mean, std = (torch.rand(shape.channels, generator=generator) * 0.5 + 0.1 for _ in range(2))
    model = build_model(config, shape, mean.tolist(), std.tolist()).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            share = torch.rand(tensor.shape, generator=generator)
            if tensor.dim() > 1:  # so that what comes out is about as large as what comes in
                tensor.copy_((2 * share - 1) * (3 / tensor[0].numel()) ** 0.5)
            elif name.endswith(("weight", "running_var")):  # of batch norm
                tensor.copy_(0.5 + share)
            else:
                tensor.copy_(share - 0.5)
    return model


def saved(
    folder: Path, config: TrainConfig | None = None, shape: Shape | None = None, temperature: float = 1.0
) -> Checkpoint:
    """A loaded checkpoint of a random network."""
    config, shape = config or TrainConfig(model="small-cnn"), shape or Shape()
    save_checkpoint(
        folder,
        random_network(config, shape),
        name="a test",
        architecture=config.model,
        classes=[str(number) for number in range(shape.classes)],
        input_shape=(shape.channels, shape.height, shape.width),
        dataset="digits",
        config=config,
        epoch=1,
        step=1,
        train_seconds=1,
        temperature=temperature,
    )
    return load_checkpoint(folder)
