"""What ships beside the library's code: the pages, their Streamlit settings, trained models, the reproduction table.

In a checkout these stand beside `mnist_core`; a wheel has them in `mnist_core/_app` (see pyproject.toml).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from mnist_core.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parents[1]
_IN_A_WHEEL = _PACKAGE / "_app"
_APP = ("app.py", "home.py", "pages", "server", "ui", ".streamlit")


def resource(name: str) -> Path:
    """The path of `app.py`, `checkpoints` or `docs/reproduction.json`, which need not exist."""
    return (_IN_A_WHEEL if _IN_A_WHEEL.is_dir() else _PACKAGE.parent) / name


def child_environment() -> dict[str, str]:
    """The environment in which a child process of any working directory can import `mnist_core`."""
    if _IN_A_WHEEL.is_dir():  # the interpreter finds it by itself
        return dict(os.environ)
    paths = [str(_PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def app_folder() -> Path:
    """The folder of app.py for this process to serve. Raises ConfigError where none can be made.

    Streamlit serves the folder `static` beside the script, and the charts write there. So the folder is that of the
    checkout if it can be written, and otherwise a copy (0.2 MB) in the user's cache folder, deleted as the process
    ends: an installed package may be read-only, and several users may share it.
    """
    original = resource("")
    if not _IN_A_WHEEL.is_dir() and os.access(original, os.W_OK):
        (original / "static").mkdir(exist_ok=True)  # or Streamlit warns that there is none
        return original
    cache = _cache_folder()
    try:
        copy = _reserve(cache)
        _copy(original, copy)
    except OSError as error:
        raise ConfigError(
            f"The app needs a folder to write in, and {error.filename or cache} cannot be written "
            f"({error.strerror or error}). Set XDG_CACHE_HOME to one that can."
        ) from None
    return copy


def _cache_folder() -> Path:
    """The user's own: a folder that others can write would let them exchange the code."""
    named = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return Path(named or os.path.expanduser("~/.cache")).absolute() / "mnist-lab"


def _reserve(parent: Path) -> Path:
    """A new folder in `parent`, locked until the process ends. Those that processes left as they were killed go now."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in parent.glob("*.lock"):
        with contextlib.suppress(Timeout, OSError), FileLock(left, timeout=0):
            _remove(left.with_suffix(""))
    folder = parent / secrets.token_hex(8)
    lock = FileLock(f"{folder}.lock")
    lock.acquire()
    # not sooner: Streamlit watches its settings, and would report that they are gone
    atexit.register(lock.release)
    atexit.register(_remove, folder)
    return folder


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # Windows deletes no file that is open
        folder.with_suffix(".lock").unlink(missing_ok=True)


def _copy(original: Path, copy: Path) -> None:
    """Contents alone: of a read-only installation the copy shall not be read-only too."""
    (copy / "static").mkdir(parents=True)
    for part in _APP:
        for path in [original / part, *(original / part).rglob("*")]:
            if path.is_file() and path.suffix != ".pyc":
                target = copy / path.relative_to(original)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
