"""A run's label, for people: what it trained, when, and whose it is."""

from __future__ import annotations

from mnist_core.runs.run import Run


def run_label(run: Run) -> str:
    """Recipe, day and time, and owner of a run; its id where it has another form."""
    date, time_of_day, *rest = run.id.split("-")
    recipe = "-".join(rest[:-1]) or run.id
    if len(date) == 8 and len(time_of_day) == 6:
        return ", ".join([recipe, moment(date, time_of_day), *([run.owner] if run.owner else [])])
    return run.id


def moment(date: str, time_of_day: str) -> str:
    """`20261120` and `193000` of an id → `20.11. 19:30:00`."""
    return f"{date[6:]}.{date[4:6]}. {time_of_day[:2]}:{time_of_day[2:4]}:{time_of_day[4:]}"
