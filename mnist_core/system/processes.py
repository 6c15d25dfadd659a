"""The processes of one training that torchrun began: which of them this is, and what they tell each other.

torchrun gives each process its place in environment variables, which are read here alone
(https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables). Process 0 is the main one. A process that
ends takes its connections along, which the others notice at once; one that hangs or is stopped says nothing any more,
which `_Watch` notices. So no collective needs a time-out of its own: the others may wait for process 0 for as long as a
person pauses the run.
"""

from __future__ import annotations

import contextlib
import io
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from mnist_core.errors import ConfigError, LabError, ProcessesError, RunFailedError
from mnist_core.lazy import LazyModule
from mnist_core.system.settings import join_seconds
from mnist_core.system.threads import cores

if TYPE_CHECKING:
    import torch
    from torch import Tensor, distributed
else:
    torch, distributed = LazyModule("torch"), LazyModule("torch.distributed")

BEAT_SECONDS = 1.0
LOST_SECONDS = 15.0
"""A process that has said nothing for so long is lost."""
LEAVE_SECONDS = 2.0  # between the end of process 0 and that of a process that waits for it within a collective
T = TypeVar("T")


class Group:
    """The processes of a training; this class is the only process of its training."""

    rank, size = 0, 1
    device: str | None = None
    """Where this process computes, as torch writes it; None leaves that open."""
    on_lost: Callable[[str], None] = staticmethod(lambda sentence: None)
    """Called in another thread, with the reason, before process 0 ends because another is lost."""

    @property
    def main(self) -> bool:
        """Whether this process writes the run."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """Which of `count` images in a row are this process's; the parts' sizes differ by one at most."""
        each, more = divmod(count, self.size)
        start = self.rank * each + min(self.rank, more)
        return slice(start, start + each + (self.rank < more))

    def sum(self, tensor: Tensor) -> None:
        """Puts into `tensor` the sum over all processes, the same bits in each."""

    def broadcast(self, value: T) -> T:
        """The `value` of process 0, tensors and plain values. None takes one short message, all else two."""
        return value

    def gather(self, value: T) -> list[T]:
        """The `value` of each process, by rank."""
        return [value]

    def close(self, failed: bool = False, reason: str = "") -> None:
        """Takes leave of the others. `failed` is whether this process ends with an error, for `reason`."""


@dataclass(frozen=True)
class Place:
    """What torchrun says to a process. Ranks count from 0, `local` ones on this machine."""

    rank: int
    size: int
    local_rank: int
    local_size: int

    @classmethod
    def of_environment(cls) -> Place | None:
        """None where nothing began several processes. Raises ConfigError for numbers that make no sense."""
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        texts = [os.environ.get(name, "") for name in names]
        if not (texts[0] and texts[1]):
            return None
        try:
            rank, size = int(texts[0]), int(texts[1])
            place = cls(rank, size, int(texts[2] or rank), int(texts[3] or size))
        except ValueError:
            place = cls(-1, 0, 0, 0)
        if not (0 <= place.rank < place.size and 0 <= place.local_rank < place.local_size <= place.size):
            found = ", ".join(f"{name}={text[:20]}" for name, text in zip(names, texts, strict=True))
            raise ConfigError(f"The environment names no place among several processes ({found}): begin with torchrun.")
        return place if place.size > 1 else None


def share_cores(place: Place) -> None:
    """Divides this machine's cores among its processes, unless OMP_NUM_THREADS says otherwise.

    torchrun sets that to 1 itself where it begins several, so 1 counts as unset.
    """
    if os.environ.get("OMP_NUM_THREADS", "1") == "1":
        torch.set_num_threads(max(1, cores() // place.local_size))


@contextlib.contextmanager
def joined() -> Iterator[Group]:
    """The group of the processes that torchrun began, or of this one alone; left at the end.

    Raises ConfigError, and RunFailedError when not all processes join in time.
    """
    place = Place.of_environment()
    if place is None:
        yield Group()
        return
    share_cores(place)
    group = _join(place)
    try:
        yield group
    except BaseException as error:
        if isinstance(error, LabError) and not group.main:  # before torchrun ends this process with all others
            print(f"failed: {error}", file=sys.stderr, flush=True)
            group.close(failed=True, reason=str(error))
            raise SystemExit(1) from None
        group.close(failed=True, reason=f"{type(error).__name__}: {error}")
        raise
    group.close()


def _join(place: Place) -> Group:
    seconds = join_seconds()
    where = f"{os.environ.get('MASTER_ADDR', '')}:{os.environ.get('MASTER_PORT', '')}"
    device = _device(place)
    try:
        limit = timedelta(seconds=seconds)
        store, rank, size = next(distributed.rendezvous("env://", timeout=limit))
        watch = _Watch(store, rank, size, limit)
        distributed.init_process_group(
            "gloo" if device is None else "cpu:gloo,cuda:nccl", store=store, rank=rank, world_size=size, timeout=limit
        )
        distributed.set_timeout(timedelta(days=30))
    except (RuntimeError, ValueError, OSError) as error:
        first = str(error).strip().partition("\n")[0][:200]
        raise RunFailedError(
            f"The {place.size} processes of this training did not find each other at {where} within {seconds:g} s "
            f"(this is number {place.rank} on {platform.node()}). Begin all with the same rendezvous and the same "
            f"number of processes, and see that each machine can reach {where}. ({first})"
        ) from None
    return _Processes(rank, size, device, watch)


def _device(place: Place) -> str | None:
    from mnist_core.system.device import default_device

    if default_device() != "cuda":
        return None
    if place.local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"There are {torch.cuda.device_count()} GPUs on {platform.node()} and {place.local_size} processes: begin "
            "one process a GPU, or hide the GPUs with CUDA_VISIBLE_DEVICES= to compute on processors."
        )
    torch.cuda.set_device(place.local_rank)
    return f"cuda:{place.local_rank}"


class _Processes(Group):
    def __init__(self, rank: int, size: int, device: str | None, watch: _Watch) -> None:
        self.rank, self.size, self.device, self._watch = rank, size, device, watch
        self._over = False  # another process has ended before its time
        watch.on_lost = lambda sentence: self.on_lost(sentence)
        watch.start()
        if self.main and threading.current_thread() is threading.main_thread():
            # torchrun ends all processes where one has died: that is a reason to write down
            signal.signal(signal.SIGTERM, self._terminated)

    def __deepcopy__(self, memo: object) -> _Processes:
        return self  # there is one

    def _terminated(self, *_: object) -> None:
        if self._over:
            return  # the status is being written
        self._over = True
        raise ProcessesError(self._watch.reason or f"One of the {self.size} processes of this training has ended.")

    @contextlib.contextmanager
    def _answered(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError:  # of gloo and NCCL, which speak of connections
            self._over = True
            reason = self._watch.note() or f"One of the {self.size} processes of this training ended or lost touch."
            raise ProcessesError(reason) from None

    def sum(self, tensor: Tensor) -> None:
        with self._answered():
            distributed.all_reduce(tensor)

    def broadcast(self, value: T) -> T:
        with self._answered():
            content = _written(value) if self.main and value is not None else b""
            length = torch.tensor([len(content)])
            distributed.broadcast(length, 0)
            if not int(length):
                return None  # type: ignore[return-value]
            message = torch.frombuffer(bytearray(content or int(length)), dtype=torch.uint8)
            distributed.broadcast(message, 0)
        if self.main:
            return value
        found: T = torch.load(io.BytesIO(message.numpy().tobytes()), weights_only=True)  # nothing in it is executed
        return found

    def gather(self, value: T) -> list[T]:
        found: list[Any] = [None] * self.size
        with self._answered():
            distributed.all_gather_object(found, value)
        return found

    def close(self, failed: bool = False, reason: str = "") -> None:
        lost, self._over = self._over, True  # torchrun may end this process while it takes leave
        self._watch.leave(failed, reason, wait=not lost)
        if self.main and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._watch.join(LOST_SECONDS)  # a thread within torch must not be there when Python ends
        if not lost:  # NCCL would wait for who is gone
            distributed.destroy_process_group()


def _written(value: object) -> bytes:
    """Tensors and plain values as `torch.load` reads them."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


class _Watch(threading.Thread):
    """Says every second that this process lives, and ends it when another is lost: process 0 watches all others, and
    they watch process 0. Process 0's end is theirs too, whatever they wait for.
    """

    def __init__(self, store: distributed.Store, rank: int, size: int, limit: timedelta) -> None:
        """Waits until all have joined. Raises RuntimeError."""
        super().__init__(daemon=True)
        self.on_lost: Callable[[str], None] = lambda sentence: None
        self.reason = ""  # why the training cannot go on, as soon as that is known
        # a connection of its own: a wait on the other, in another thread, would hold up each beat
        self._hosted, self._store = store, store.clone()
        self._rank, self._others = rank, [0] if rank else [*range(1, size)]
        self._left, self._ended = threading.Event(), threading.Event()
        self._store.set(f"host/{rank}", platform.node())
        self._store.set(f"beat/{rank}", "0")
        self._store.wait([f"beat/{other}" for other in range(size)], limit)
        self._hosts = [host.decode() for host in self._store.multi_get([f"host/{other}" for other in range(size)])]
        self._store.set_timeout(timedelta(seconds=LOST_SECONDS))

    def run(self) -> None:
        seen = dict.fromkeys(self._others, (b"", time.monotonic()))
        count = 0
        while not self._left.wait(BEAT_SECONDS):
            count += 1
            # the store itself may hang, where the process is stopped that keeps it
            hung = threading.Timer(LOST_SECONDS, self._lost, [f"The first process, on {self._hosts[0]}, hangs."])
            hung.daemon = True
            hung.start()
            try:
                self._store.set(f"beat/{self._rank}", str(count))
                ended = self._rank > 0 and self._store.check(["ended"])
                beats = self._store.multi_get([f"beat/{other}" for other in self._others])
                note = self.note()
            except RuntimeError:
                return self._lost("What torchrun began on the first machine is gone, and with it the training.")
            finally:
                hung.cancel()
            if ended:
                return self._end_with_main()
            for other, beat in zip(self._others, beats, strict=True):
                if beat != seen[other][0]:
                    seen[other] = beat, time.monotonic()
                elif time.monotonic() - seen[other][1] > LOST_SECONDS:
                    return self._lost(note or f"Process {other} on {self._hosts[other]} does not answer any more.")
        return None

    def note(self) -> str:
        """What a process said that ended with an error; empty where there is none."""
        with contextlib.suppress(RuntimeError):
            for other in self._others:
                if self._store.check([f"left/{other}"]):
                    said = self._store.get(f"left/{other}").decode(errors="replace")
                    self.reason = f"Process {other} on {self._hosts[other]} ended: {said}"
        return self.reason

    def _lost(self, sentence: str) -> None:
        if self._left.is_set():
            return
        self.reason = sentence
        print(f"failed: {self.reason}", file=sys.stderr, flush=True)
        self.on_lost(self.reason)
        os._exit(1)  # the main thread may wait within a collective for ever

    def _end_with_main(self) -> None:
        failed = False
        with contextlib.suppress(RuntimeError):
            failed = self._store.get("ended") == b"failed"
        self._ended.set()
        left = self._left.wait(LEAVE_SECONDS)  # the main thread may wait within a collective for ever
        with contextlib.suppress(RuntimeError):
            self._store.set(f"gone/{self._rank}", "")
        if not left:
            os._exit(int(failed))

    def leave(self, failed: bool, reason: str, wait: bool) -> None:
        """Process 0 says that it ends; the others `wait` for that, so that torchrun finds process 0's own status."""
        with contextlib.suppress(RuntimeError):
            if self._rank == 0:
                self._store.set("ended", "failed" if failed else "done")
                if wait:
                    self._linger()
            else:
                if failed:
                    self._store.set(f"left/{self._rank}", reason[:500] or "an error.")
                if wait:  # for process 0 to write down an error that it has too; else the end of this one tells it
                    self._ended.wait(LEAVE_SECONDS if failed else None)
        self._left.set()

    def _linger(self) -> None:
        """Where process 0 keeps the store itself, rather than torchrun, the others are to read first that it ends."""
        if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
            self._store.wait([f"gone/{other}" for other in self._others], timedelta(seconds=3 * LEAVE_SECONDS))
