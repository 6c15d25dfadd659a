"""Whose run it is: a name that a person gave, kept beside the run. A courtesy among people who trust each other."""

from __future__ import annotations

import re
from pathlib import Path

from mnist_core.errors import ConfigError
from mnist_core.system.files import read_json, write_json

FILE = "owner.json"
MOST_LETTERS = 30
# nothing that markdown, HTML or a path would take for its own
_NAME = re.compile(rf"[^\W_][\w .'’-]{{0,{MOST_LETTERS - 1}}}")


def parse_owner(text: str) -> str:
    """A name as typed → without spaces too many; empty is nobody. Raises ConfigError."""
    name = " ".join(text.split())
    if name and not _NAME.fullmatch(name):
        raise ConfigError(
            f"A name has at most {MOST_LETTERS} letters, digits, spaces and . ' - _ and begins with a letter or digit, "
            f"unlike {repr(text)[:60]}."
        )
    return name


def write_owner(folder: Path, name: str) -> None:
    """Marks the run in `folder` as that of `name`. Raises ConfigError or OSError."""
    write_json(folder / FILE, {"owner": parse_owner(name)})


def read_owner(folder: Path) -> str:
    """Whose the run in `folder` is; empty where nobody said so, or the file is damaged."""
    try:
        return parse_owner(read_json(folder / FILE)["owner"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
