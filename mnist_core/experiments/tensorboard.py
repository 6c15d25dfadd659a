"""A run's measurements as TensorBoard reads them. Its package is an extra: `pip install mnist-lab[tensorboard]`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mnist_core.errors import RunError
from mnist_core.runs.history import HistoryReader
from mnist_core.runs.replay import replay
from mnist_core.runs.run import Run

TAGS = {  # event → its fields, and their names in TensorBoard
    "step": {"loss": "train/loss", "accuracy": "train/accuracy", "lr": "train/learning_rate"},
    "validation": {"val_loss": "validation/loss", "val_accuracy": "validation/accuracy"},
    "epoch": {"val_loss": "validation/loss", "val_accuracy": "validation/accuracy"},
    "end": {"test_loss": "test/loss", "test_accuracy": "test/accuracy"},
}


def event_file(run: Run) -> bytes:
    """All that was measured, at its batch. The time of an entry is that of the training in seconds since its start.

    Raises RunError where the package is missing or the run cannot be read.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        raise RunError("TensorBoard's files need its package: pip install tensorboard.") from None
    history = HistoryReader(run).history()
    train = history.train
    seconds = dict(zip(train.step.tolist(), train.seconds.tolist(), strict=True))
    now = 0.0
    with tempfile.TemporaryDirectory() as folder:
        writer = EventFileWriter(folder)
        try:
            for event in replay(run):
                step = int(event.get("step", 0) or 0)
                now = max(now, seconds.get(step, now))
                values = [
                    Summary.Value(tag=tag, simple_value=float(event[name]))  # type: ignore[literal-required]
                    for name, tag in TAGS.get(event["event"], {}).items()
                    if name in event
                ]
                if values:
                    writer.add_event(Event(wall_time=now, step=step, summary=Summary(value=values)))
        except OSError as error:
            raise RunError(f"The measurements of run {run.id} cannot be read ({error.strerror}).") from None
        finally:
            writer.close()
        (file,) = Path(folder).iterdir()
        return file.read_bytes()
