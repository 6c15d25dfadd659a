"""A process that measures for a page what takes a minute: `python -m mnist_core.runs.measure RUNS_DIR DATA_DIR`.

It reads one request, a line of JSON, and writes lines of JSON: {"waiting": true} while trainings have all slots,
{"share": 0.5}, and at last {"result": …} or {"error": "A sentence."}. It takes a slot as a training does, so that
neither disturbs the other, and ends when its input does: the server that started it has gone.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from mnist_core.config import TrainConfig, parse_config
from mnist_core.errors import LabError
from mnist_core.runs.queue import Slot
from mnist_core.system.threads import lower_priority, pin_threads_to_cores

POLL_SECONDS = 0.1
KINDS = ("learning-rate", "batch-size")


def measured(kind: str, config: TrainConfig, data_dir: Path, progress: Callable[[float], None]) -> dict[str, Any]:
    """The result of a range test, or the speeds of batch sizes, as JSON takes it. Raises LabError."""
    from mnist_core.data.prepare import load_for
    from mnist_core.training.batch_speed import batch_speeds
    from mnist_core.training.range_test import range_test

    data = load_for(config, data_dir, further=True)
    ask = range_test if kind == "learning-rate" else batch_speeds
    return asdict(ask(config, data, progress))


def serve(requests: TextIO, answers: TextIO, runs_dir: Path, data_dir: Path) -> None:
    """Answers the one request that comes."""

    def say(**what: Any) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    request = json.loads(requests.readline())
    slot = Slot(runs_dir)
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        while not slot.acquire():
            say(waiting=True)
            time.sleep(POLL_SECONDS)
        last = 0.0

        def show(share: float) -> None:
            nonlocal last
            if share >= last + 0.01:
                last = share
                say(share=share)

        say(share=0.0)
        say(result=measured(request["kind"], parse_config(request["config"]), data_dir, show))
    except LabError as error:
        say(error=str(error))
    except OSError as error:
        say(error=f"The folder {runs_dir} cannot be written ({error.strerror}).")
    finally:
        slot.release()


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    lower_priority()
    pin_threads_to_cores()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what is printed goes to the log
    first = sys.stdin.readline()
    threading.Thread(target=_end_with_input, daemon=True).start()
    import io

    serve(io.StringIO(first), answers, *(Path(argument) for argument in sys.argv[1:3]))
