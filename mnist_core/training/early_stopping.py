"""EarlyStopping: the best epoch so far on validation, and whether a training should end since none is better."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class EarlyStopping:
    """Epochs are compared by validation accuracy, in [0, 1], then by validation loss, in nats."""

    best: tuple[float, float] | None = None  # accuracy and -loss of the best epoch so far
    epochs_without_improvement: int = 0  # since that epoch

    def record(self, val_accuracy: float, val_loss: float) -> None:
        """Takes the validation of the next epoch in."""
        score = (val_accuracy, -val_loss)
        if self.best is None or score > self.best:
            self.best, self.epochs_without_improvement = score, 0
        else:
            self.epochs_without_improvement += 1

    def due(self, patience: int) -> bool:
        """Whether `patience` epochs in a row were no better; never with a patience of 0."""
        return 0 < patience <= self.epochs_without_improvement
