"""Against torch called at once, and a network that notes how it is called."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_core.models.classifier import infer
from mnist_core.training.validation import loss_and_accuracy


class Spy(nn.Module):
    """Logits that are a function of the picture; notes the mode it is called in."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-2, 2, classes))
        self.modes: list[bool] = []
        self.sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.modes.append(self.training)
        self.sizes.append(len(x))
        return torch.sin(10 * x.mean(dim=(1, 2, 3))[:, None] * torch.arange(1, 5)) * self.weight


class Broken(Spy):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("stop")


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 1, 3, 3), dtype=np.uint8)


@pytest.mark.parametrize("given", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("count", [1, 499, 500, 501, 1203])
def test_large_sets_are_answered_in_pieces_as_if_in_one(count, given):
    model, images = Spy(), pictures(count)
    with torch.no_grad():
        expected = Spy()(torch.from_numpy(images).float() / 255)
    logits = infer(model, given(images))
    torch.testing.assert_close(logits, expected)
    assert max(model.sizes) <= 500
    assert sum(model.sizes) == count
    assert not logits.requires_grad


@pytest.mark.parametrize("mode", [True, False])
def test_inference_uses_evaluation_mode_and_restores_the_mode(mode):
    model = Spy().train(mode)
    infer(model, pictures(3))
    assert model.modes == [False]
    assert model.training is mode
    broken = Broken().train(mode)
    with pytest.raises(RuntimeError, match="stop"):
        infer(broken, pictures(3))
    assert broken.training is mode


@pytest.mark.parametrize("given", [np.asarray, torch.from_numpy])
def test_loss_and_accuracy_agree_with_plain_counting(given):
    images, labels = pictures(700), np.arange(700) % 4
    logits = infer(Spy(), images)
    loss, accuracy = loss_and_accuracy(logits, given(labels))
    assert accuracy == (logits.argmax(dim=1).numpy() == labels).mean()
    own = -logits.double().log_softmax(dim=1)[torch.arange(700), torch.from_numpy(labels)]
    assert loss == pytest.approx(own.mean().item(), rel=1e-5)
    assert loss == pytest.approx(F.cross_entropy(logits, torch.from_numpy(labels)).item())
