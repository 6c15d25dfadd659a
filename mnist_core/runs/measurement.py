"""Measurements that a page asks for, each in a process of its own (measure.py): started, followed, cancelled, kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnist_core.config import TrainConfig
from mnist_core.errors import RunError
from mnist_core.system.resources import child_environment

MOST_KEPT = 50
_ENDED = "The measurement's process ended before its time: it was killed, or there is too little memory. Try again."


class Measurement:
    """One measurement under way, or what it found. `share` is in [0, 1]; `waiting` that trainings have all slots."""

    def __init__(self, kind: str, config: TrainConfig, runs_dir: Path, data_dir: Path) -> None:
        self.share, self.waiting, self.error = 0.0, False, ""
        self.result: dict[str, Any] | None = None
        self.cancelled = False
        try:
            runs_dir.mkdir(parents=True, exist_ok=True)
            with (runs_dir / ".worker.log").open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "mnist_core.runs.measure", str(runs_dir), str(data_dir)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=child_environment(),
                    start_new_session=os.name != "nt",
                )
        except OSError as error:
            raise RunError(f"No process to measure in can be started ({error.strerror}).") from None
        request = json.dumps({"kind": kind, "config": config.model_dump(mode="json")})
        threading.Thread(target=self._follow, args=(request,), daemon=True).start()

    @property
    def running(self) -> bool:
        """Whether it is under way, or waits."""
        return self.result is None and not self.error and not self.cancelled

    def cancel(self) -> None:
        """Ends the process; what it measured so far is lost."""
        self.cancelled = True
        self._process.kill()

    def _follow(self, request: str) -> None:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(request.encode() + b"\n")
            process.stdin.flush()
            for line in process.stdout:
                self._take(json.loads(line))
        except (OSError, ValueError):
            pass  # it has been killed
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
        if self.running:
            self.error = _ENDED

    def _take(self, said: dict[str, Any]) -> None:
        self.waiting = "waiting" in said
        self.share = said.get("share", self.share)
        self.error = said.get("error", self.error)
        self.result = said.get("result", self.result)


class Measurements:
    """The measurements of a server: one at a time, as each takes all cores and half a gigabyte. Thread-safe.

    What one found is kept by its kind, its settings and its data.
    """

    def __init__(self, make: Callable[..., Measurement] = Measurement) -> None:
        self._make = make
        self._known: OrderedDict[tuple[str, ...], Measurement] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, kind: str, config: TrainConfig, fingerprint: str) -> Measurement | None:
        """What is known or under way for these settings and this data."""
        with self._lock:
            found = self._known.get(key(kind, config, fingerprint))
        return None if found is None or found.cancelled else found

    def start(
        self, kind: str, config: TrainConfig, fingerprint: str, whole: TrainConfig, runs_dir: Path, data_dir: Path
    ) -> Measurement:
        """Begins one of the settings `whole`, which a page's `config` means. Raises RunError while one is under way."""
        with self._lock:
            if any(other.running for other in self._known.values()):
                raise RunError("Another measurement is under way: one at a time, or they disturb each other. Try soon.")
            made = self._make(kind, whole, runs_dir, data_dir)
            self._known[key(kind, config, fingerprint)] = made
            while len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)
            return made

    def close(self) -> None:
        """Ends what is under way."""
        with self._lock:
            for each in self._known.values():
                if each.running:
                    each.cancel()


_MEASURED: dict[str, dict[str, Any]] = {
    "learning-rate": {"learning_rate": 1e-3, "epochs": 1, "patience": 0},
    "batch-size": {"learning_rate": 1e-3, "epochs": 1, "patience": 0, "batch_size": 64, "schedule": "constant"},
}


def key(kind: str, config: TrainConfig, fingerprint: str) -> tuple[str, str, str]:
    """What a result depends on: all settings but those that are measured, or that change nothing of it."""
    return kind, config.replace(**_MEASURED[kind]).model_dump_json(), fingerprint
