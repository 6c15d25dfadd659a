"""Modules that are imported when they are first used: a page that needs no torch appears without it."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class LazyModule:
    """Stands for the module `name` until one of its attributes is used, which imports it. Thread-safe, as imports are.

    Type checkers see the module itself where the assignment stands in the `else` of `if TYPE_CHECKING:`.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(import_module(self.__name__), attribute)
        setattr(self, attribute, value)  # found at once from now on
        return value
