"""Where a search's trials are kept: Optuna's journal in a file, or a PostgreSQL or MySQL database for many machines.

A password is in the URL or where the database's own client looks for it (`~/.pgpass`, `PGPASSWORD`); it is in no
message, file or address of the lab.
"""

from __future__ import annotations

import os
import re
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from filelock import FileLock

from mnist_core.errors import ConfigError, LabError

if TYPE_CHECKING:
    import optuna

HEARTBEAT_SECONDS = 10
GRACE_SECONDS = 60
"""A trial of which a database has not heard for so long is taken for dead."""
CONNECT_SECONDS = 5
PATIENCE_SECONDS = 600.0
"""How long a result is kept for a storage that has gone away."""
LONGEST_PAUSE = 30.0
_URL = re.compile(r"([a-z][a-z0-9+]*)://", re.IGNORECASE)
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}
_PACKAGES = {"postgresql": "psycopg[binary]", "mysql": "pymysql"}
T = TypeVar("T")


class StorageError(LabError):
    """The storage cannot be opened, or has gone away."""


def is_url(storage: str) -> bool:
    """Whether `storage` names a database rather than a file."""
    return _URL.match(storage) is not None


def without_password(storage: str) -> str:
    """`storage` as it may be shown: a URL's password is left out."""
    if not is_url(storage):
        return storage
    scheme, _, rest = storage.partition("://")
    where, slash, path = rest.partition("/")
    user, at, host = where.rpartition("@")
    path = re.sub(r"(?<=[?&])password=[^&]*&?", "", path).rstrip("?&")
    return f"{scheme}://{user.split(':')[0]}{at}{host}{slash}{path}"


def open_storage(storage: str) -> optuna.storages.BaseStorage:
    """Opens the journal in a file, made where there is none, or the database of a URL. Raises StorageError."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # of fail_stale_trials, and that heartbeats are ours to send (search_work.py)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", message="Heartbeat of storage")
    return _database(storage) if is_url(storage) else _journal(Path(storage))


def _journal(path: Path) -> optuna.storages.BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    try:
        path.touch()
        with path.open("rb") as file:
            if (first := file.read(1)) and first != b"{":
                raise ConfigError(f"{path} is no journal of a search: choose another file.")
        lock: Any = _JournalLock(path)
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    except OSError as error:
        raise StorageError(f"The journal of the search cannot be written to {path} ({error.strerror}).") from None
    except (ValueError, KeyError, TypeError):
        raise StorageError(f"{path} is no journal of a search, or is damaged: choose another file.") from None


class _JournalLock:
    """Optuna's lock of a journal, by the operating system, which frees that of a killed process at once.

    A line that a killed process left torn is cut off before the next one is written: it was never read.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, FileLock(f"{path}.lock")

    def acquire(self) -> bool:
        self._lock.acquire()
        with self._path.open("rb+") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.seek(0)
                    file.truncate(file.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        self._lock.release()


def _database(url: str) -> optuna.storages.BaseStorage:
    import optuna
    import sqlalchemy
    from sqlalchemy.engine import make_url

    shown = without_password(url)
    try:
        parsed = make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise StorageError(f"'{shown[:200]}' is no address of a database: write postgresql://USER@HOST/NAME.") from None
    kind = parsed.drivername.partition("+")[0]
    if kind not in _DRIVERS:
        raise StorageError(f"A search is kept in a file, PostgreSQL or MySQL, not in {kind[:40]}.")
    if "+" not in parsed.drivername:
        parsed = parsed.set(drivername=_DRIVERS[kind])
    options: dict[str, object] = {"connect_timeout": CONNECT_SECONDS}
    if parsed.drivername == "postgresql+psycopg":  # a machine that is gone without a word is noticed
        options |= {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
    try:
        for last in (*[False] * 4, True):
            try:
                return optuna.storages.RDBStorage(
                    parsed.render_as_string(hide_password=False),
                    {"connect_args": options, "pool_pre_ping": True},
                    heartbeat_interval=HEARTBEAT_SECONDS,
                    grace_period=GRACE_SECONDS,
                    heartbeat_stale_trial_callback=give_back,
                )
            except (
                sqlalchemy.exc.ProgrammingError,
                sqlalchemy.exc.IntegrityError,
                optuna.exceptions.StorageInternalError,
            ):  # another machine makes the tables just now
                if last:
                    raise
                time.sleep(1.0)
    except ImportError:
        package = _PACKAGES["mysql" if kind == "mysql" else "postgresql"]
        raise StorageError(f"For {kind} the package {package} is needed: pip install '{package}'.") from None
    except Exception as error:  # of the driver, of SQLAlchemy, or of Optuna
        raise StorageError(f"The search's storage {shown} cannot be reached: {cause(error, parsed.password)}") from None
    raise AssertionError("unreachable")


def cause(error: BaseException, password: object = None) -> str:
    """What a driver says of a failure, as one short sentence without the password."""
    root: BaseException = error
    while (further := getattr(root, "orig", None) or root.__cause__) is not None and further is not root:
        root = further
    text = " ".join(str(root).split()) or type(root).__name__
    if password:
        text = text.replace(str(password), "…")
    text = re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1@", text)
    return text[:300].rstrip(".") + "."


def is_outage(error: BaseException) -> bool:
    """Whether `error` says that the storage cannot be reached, rather than that it refused something."""
    import optuna

    if isinstance(error, (OSError, optuna.exceptions.StorageInternalError)):
        return True
    alchemy = sys.modules.get("sqlalchemy.exc")
    return alchemy is not None and isinstance(error, alchemy.SQLAlchemyError)


def insist(work: Callable[[], T], patience: float | None = None) -> T:
    """The result of `work()`, tried with growing pauses while the storage is away. Raises StorageError after that."""
    until = time.monotonic() + (PATIENCE_SECONDS if patience is None else patience)
    pause = 0.5
    while True:
        try:
            return work()
        except Exception as error:
            if not is_outage(error):
                raise
            if time.monotonic() + pause > until:
                raise StorageError(f"The search's storage cannot be reached any more: {cause(error)}") from None
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def give_back(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """Has the settings of a trial that was lost tried again, by whoever asks next."""
    if trial.params:
        study.enqueue_trial(trial.params, user_attrs={"again": trial.number})
