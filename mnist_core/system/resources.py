"""What ships beside the library's code: the pages, their Streamlit settings, trained models, the reproduction table.

In a checkout these stand beside `mnist_core`; a wheel has them in `mnist_core/_app` (see pyproject.toml).
"""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_IN_A_WHEEL = _PACKAGE / "_app"


def resource(name: str) -> Path:
    """The path of `app.py`, `checkpoints` or `docs/reproduction.json`, which need not exist."""
    return (_IN_A_WHEEL if _IN_A_WHEEL.is_dir() else _PACKAGE.parent) / name


def child_environment() -> dict[str, str]:
    """The environment in which a child process of any working directory can import `mnist_core`."""
    if _IN_A_WHEEL.is_dir():  # the interpreter finds it by itself
        return dict(os.environ)
    paths = [str(_PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
