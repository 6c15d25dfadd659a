"""Votes: what people say that an image shows, kept beside its label in a file of JSON lines."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from mnist_core.errors import DataError
from mnist_core.system.files import disk_error_sentence

NAME = "votes.jsonl"
MAX_BYTES = 20_000_000
WAIT_SECONDS = 5.0


@dataclass(frozen=True)
class Votes:
    """The votes in a folder, that of the runs. A reader tolerates a torn last line. Safe between processes."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / NAME

    def add(self, images: str, row: int, said: str, by: str = "") -> None:
        """Keeps that `by` says "`said`" of the image `row` of the images with the fingerprint `images`.

        A name's later vote for an image replaces its earlier one. Raises DataError where it cannot be written.
        """
        line = {"images": images, "row": row, "said": said[:100], "by": by[:100], "time": round(time.time())}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_suffix(".lock"), timeout=WAIT_SECONDS):
                if self.path.is_file() and self.path.stat().st_size > MAX_BYTES:
                    raise DataError(f"{self.path} is full of votes ({MAX_BYTES // 10**6} MB): move it away.")
                with self.path.open("ab+") as file:
                    if file.tell() and not self._ends_with_newline(file.tell()):
                        file.write(b"\n")
                    file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        except Timeout:
            raise DataError("Another vote is being written and does not end. Try again.") from None
        except OSError as error:
            raise DataError(f"The vote is not kept. {disk_error_sentence(error)}, and vote again.") from None

    def _ends_with_newline(self, size: int) -> bool:
        with self.path.open("rb") as file:
            file.seek(size - 1)
            return file.read(1) == b"\n"

    def count(self, images: str, row: int) -> Counter[str]:
        """How many say what of an image; those without a name count once each."""
        named: dict[str, str] = {}
        nameless: Counter[str] = Counter()
        for line in self._lines():
            said, by = line.get("said"), line.get("by")
            if line.get("images") != images or line.get("row") != row or not isinstance(said, str):
                continue
            if isinstance(by, str) and by:
                named[by] = said
            else:
                nameless[said] += 1
        return Counter(named.values()) + nameless

    def _lines(self) -> list[dict[str, object]]:
        try:
            content = self.path.read_bytes()
        except OSError:
            return []
        found = []
        for text in content.splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                found.append(line)
        return found
