"""Modules that are imported when they are first used: a page that needs no torch appears without it."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any


class LazyModule:
    """Stands for the module `name` until one of its attributes is used, which imports it. Thread-safe, as imports are.

    Attributes are looked up anew each time, as those of a module may change. Type checkers see the module itself where
    the assignment stands in the `else` of `if TYPE_CHECKING:`.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name
        self._module: ModuleType | None = None

    def __getattr__(self, attribute: str) -> Any:
        if self._module is None:
            self._module = import_module(self.__name__)
        return getattr(self._module, attribute)
