"""Calls of the library's functions in an idle worker, which has torch loaded, so that a server need not load it.

Server and worker are one program, and each owns its ends of the pipes between them. Over these go pickled objects, as
between the processes of Python's own multiprocessing.
"""

from __future__ import annotations

import importlib
import pickle
import queue
import threading
import traceback
from typing import IO, Any

PATIENCE_SECONDS = 30.0
_LENGTH_BYTES = 8


class NoAnswerError(Exception):
    """The worker is at work, has gone, or could not compute it: the caller computes it itself."""


def compute(name: str, arguments: tuple[Any, ...]) -> Any:
    """What the function `name`, as in "training.profile:seconds_per_image", of this library returns."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(f"mnist_core.{module}"), function)(*arguments)


def answer_calls(requests: IO[bytes], answers: IO[bytes], idle: threading.Lock) -> None:
    """Answers the calls that come until `requests` ends; none while another holds `idle`.

    An error is told as such and written to stderr: the caller meets it when it computes the same.
    """
    while True:
        try:
            name, arguments = _receive(requests)
        except EOFError:
            return
        answer: tuple[bool, Any] = (False, None)
        if idle.acquire(blocking=False):
            try:
                answer = (True, compute(name, arguments))
            except Exception:
                traceback.print_exc()
            finally:
                idle.release()
        try:
            _send(answers, answer)
        except OSError:  # nobody waits for it any more; that nobody asks again, the requests' end will tell
            continue


def ask(requests: IO[bytes], answers: IO[bytes], name: str, arguments: tuple[Any, ...]) -> Any:
    """What the worker at the other end of these pipes computes. One call at a time. Raises NoAnswerError."""
    arrived: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def exchange() -> None:
        try:
            _send(requests, (name, arguments))
            arrived.put(_receive(answers))
        except (OSError, EOFError, ValueError):  # gone, or its pipes have been closed
            arrived.put((False, None))

    threading.Thread(target=exchange, daemon=True).start()
    try:
        known, value = arrived.get(timeout=PATIENCE_SECONDS)
    except queue.Empty:
        raise NoAnswerError from TimeoutError()
    if not known:
        raise NoAnswerError
    return value


def _send(stream: IO[bytes], value: Any) -> None:
    content = pickle.dumps(value)
    stream.write(len(content).to_bytes(_LENGTH_BYTES) + content)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    """Raises EOFError at the stream's end."""
    length = int.from_bytes(_exactly(stream, _LENGTH_BYTES))
    return pickle.loads(_exactly(stream, length))


def _exactly(stream: IO[bytes], count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise EOFError
    return content
