"""What the command line prints: results, notes and progress bars."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any

from mnist_core.system.progress import Progress


def print_note(sentence: str) -> None:
    if sentence:
        print(f"note: {sentence}", file=sys.stderr)


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """A progress bar on stderr, moved by calling it with the share done."""
    from tqdm import tqdm

    with tqdm(total=100, unit="%", desc=title, file=sys.stderr, leave=False) as bar:
        yield lambda share: bar.update(int(share * 100) - bar.n)


def print_result(options: argparse.Namespace, value: dict[str, Any], text: str) -> None:
    print(json.dumps(value) if options.json else text, flush=True)
