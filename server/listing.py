"""What models and runs there are, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.errors import RequestError

if TYPE_CHECKING:
    from mnist_core.runs.run import Run

MOST_RUNS, USUAL_RUNS = 1000, 100


def models() -> dict[str, Any]:
    """Every model that `predict` takes, as on the pages; the first is the one to begin with."""
    from mnist_core.runs.catalogue import models

    return {
        "models": [
            {
                "id": model.id,
                "summary": model.card.summary,
                "run": model.run.id if model.run else None,
                "damage": model.damage,
                "architecture": model.card.architecture,
                "parameters": model.card.parameters,
                "classes": model.card.classes,
                "input_shape": list(model.card.input_shape),
                "dataset": model.card.dataset,
                "preparation": model.card.preparation,
                "metrics": model.card.metrics,
            }
            for model in models()
        ]
    }


def runs(before: str, limit: int) -> dict[str, Any]:
    """At most `limit` runs, the newest first; with `before` those that are older than that one."""
    from mnist_core.runs.run import list_runs

    found = [run for run in list_runs() if not before or run.id < before]
    return {"runs": [_summary(run) for run in found[:limit]], "more": len(found) > limit}


def run(run_id: str) -> dict[str, Any]:
    """All of one run but its events. Raises RequestError 404."""
    from mnist_core.errors import LabError
    from mnist_core.runs.catalogue import find_model
    from mnist_core.runs.history import latest, shared_reader

    found = find_run(run_id)
    watched = shared_reader(found)
    events = watched.events()
    epochs = [event for event in events if event["event"] == "epoch"]
    try:
        metrics = find_model(found.id).card.metrics
    except LabError:  # it trains, or has no model
        metrics = None
    return {
        **_summary(found),
        "config": _config(found),
        "start": watched.start(),
        "step": watched.newest_step(),
        "epoch": epochs[-1] if epochs else None,
        "diagnosis": latest(events, "end", "diagnosis"),
        "metrics": metrics,
    }


def find_run(run_id: str) -> Run:
    """The run of this id, whose name never becomes a path. Raises RequestError 404."""
    from mnist_core.errors import RunError
    from mnist_core.runs.run import open_run

    try:
        return open_run(run_id)
    except RunError:  # whose sentence names the folder, which is nobody's business here
        raise RequestError(
            404, f"There is no run '{run_id[:100]}': GET /api/runs lists those that there are."
        ) from None


def _summary(run: Run) -> dict[str, Any]:
    from mnist_core.runs.labels import run_label

    status, config = run.status(), _config(run) or {}
    return {
        "id": run.id,
        "label": run_label(run),
        "owner": run.owner,
        "pinned": run.pinned,
        "state": status.state,
        "reason": status.reason,
        "updated": status.updated,
        "model": run.id if not status.active and run.checkpoint() is not None else None,
        **{name: config.get(name) for name in ("recipe", "dataset", "epochs", "seed")},
    }


def _config(run: Run) -> dict[str, Any] | None:
    """The settings; None where they are damaged."""
    from mnist_core.errors import RunError

    try:
        return run.config().model_dump(mode="json")
    except RunError:
        return None
