"""Replay: the events of a run one after another, in bounded memory however long it is."""

from __future__ import annotations

from collections.abc import Iterator

from mnist_core.runs.history import precedes
from mnist_core.runs.lines import parse_event, read_lines
from mnist_core.runs.run import Run
from mnist_core.training.events import Event, ResumeEvent

_RESUME, _STEP = b'"resume"', b'{"event": "step"'


def replay(run: Run, steps: bool = True) -> Iterator[Event]:
    """The events that EventReader gives, without keeping them: the log is read twice, first for its resumptions.

    Without `steps`, of the events `step` only the first is given. Raises OSError.
    """
    resumptions: list[tuple[int, ResumeEvent]] = []  # with the offset of each one's end
    for end, line in read_lines(run.metrics_path):
        if _RESUME in line and (event := parse_event(line)) is not None and event["event"] == "resume":
            resumptions.append((end, event))
    begun = False
    for end, line in read_lines(run.metrics_path):
        if begun and not steps and line.startswith(_STEP):
            continue
        event = parse_event(line)
        later = (resumption for place, resumption in resumptions if place > end)
        if event is not None and all(precedes(event, resumption) for resumption in later):
            begun = begun or event["event"] == "step"
            yield event


def field_names(run: Run) -> list[str]:
    """The names of all fields that the replayed events have, in order of appearance. Raises OSError."""
    names: dict[str, None] = {}
    for event in replay(run, steps=False):
        names.update(dict.fromkeys(event))
    return list(names)
