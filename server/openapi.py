"""The description of the interface: OpenAPI 3.1 for programs, and the same as a page for people."""

from __future__ import annotations

from html import escape
from typing import Any

from server.body import LARGEST, MEGABYTE
from server.listing import MOST_RUNS, USUAL_RUNS
from server.predict import DEFAULT_MODEL, LARGEST_STROKES

ERRORS = {
    400: "The request makes no sense: no picture, or a parameter out of its range.",
    403: "The host name, the origin or the lab's mode forbids it.",
    404: "There is no such model or run.",
    408: "The body came too slowly.",
    413: f"The body is over {LARGEST // MEGABYTE} MB ({LARGEST_STROKES // MEGABYTE} MB for strokes).",
    415: "The body is neither a picture nor JSON.",
    429: "The lab is busy: Retry-After says in how many seconds to try again.",
}
FLAG = {"type": "integer", "enum": [0, 1], "default": 0}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
PREDICTION = {
    "type": "object",
    "required": ["model", "digit", "confidence", "probabilities", "is_digit", "rejection"],
    "properties": {
        "model": {"type": "string"},
        "digit": {"type": ["integer", "null"], "description": "Index of the most probable class; null if blank"},
        "confidence": {**SHARE, "description": "Its probability"},
        "probabilities": {"type": "array", "items": SHARE, "description": "Of each class, in the model's order"},
        "is_digit": {"type": "boolean"},
        "rejection": {
            "type": ["string", "null"],
            "enum": ["blank", "several", "filled", "unsure", None],
            "description": "Why the picture may not be one digit",
        },
        "number": {
            "type": ["string", "null"],
            "description": "Of a model of the ten digits: the number in the picture, also of one digit; null if a part "
            "of it is no digit",
        },
        "digits": {
            "type": "array",
            "description": "The number's digits from left to right",
            "items": {
                "type": "object",
                "required": ["digit", "confidence", "box"],
                "properties": {
                    "digit": {"type": "integer"},
                    "confidence": SHARE,
                    "box": {"type": "array", "items": {"type": "integer"}, "description": "x, y, width, height in px"},
                },
            },
        },
        "size": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "Width and height in px of the picture that the boxes lie on: upright, at most 2048 px",
        },
        "input": {
            "type": ["array", "null"],
            "description": "With input=1: what the model sees, rows of pixels (or of [r, g, b]) from 0 to 255",
        },
    },
}
STROKES = {
    "type": "object",
    "required": ["box", "y_axis", "strokes"],
    "properties": {
        "box": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
        "y_axis": {"type": "string", "enum": ["up", "down"]},
        "strokes": {
            "type": "array",
            "description": "Each stroke is a list of points [x, y]",
            "items": {"type": "array", "items": {"type": "array", "items": {"type": "number"}, "minItems": 2}},
        },
    },
    "example": {"box": [280, 280], "y_axis": "down", "strokes": [[[80, 70], [200, 70], [130, 220]]]},
}
ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
RUN_ID = {"name": "run", "in": "path", "required": True, "schema": {"type": "string"}, "description": "The run's id"}


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _answers(description: str, schema: dict[str, Any], *errors: int, kind: str = "application/json") -> dict[str, Any]:
    failed = {"application/json": {"schema": ERROR}}
    found: dict[str, Any] = {"200": {"description": description, "content": {kind: {"schema": schema}}}}
    return found | {str(code): {"description": ERRORS[code], "content": failed} for code in sorted({*errors, 403, 429})}


def document(base: str) -> dict[str, Any]:
    """The OpenAPI document of the interface below the path `base`."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    thing = {"type": "object"}
    text = {"type": "string"}
    paths = {
        "/api/predict": {
            "post": {
                "summary": "What a model says to a picture, or to pen strokes",
                "description": "As `mnist-lab predict` answers. PNG, JPEG, WebP, GIF, BMP and TIFF are read.",
                "parameters": [
                    _query("model", "A model's id", {"type": "string", "default": DEFAULT_MODEL}),
                    _query("input", "1: also the image that the model sees", FLAG),
                    _query(
                        "number",
                        "apart: look for a number only where digits stand apart; 0: read it as one digit alone, which "
                        "takes less time",
                        {"type": "string", "enum": ["1", "apart", "0"], "default": "1"},
                    ),
                    _query("canvas", "1: the picture is a drawing, light on dark, as strokes are", FLAG),
                ],
                "requestBody": {
                    "required": True,
                    "content": {
                        **{f"image/{form}": binary for form in ("png", "jpeg", "webp")},
                        "application/json": {"schema": STROKES},
                    },
                },
                "responses": _answers("The prediction", PREDICTION, 400, 404, 408, 413, 415),
            }
        },
        "/api/models": {
            "get": {
                "summary": "The models that there are, the one to begin with first",
                "responses": _answers("Under `models`: id, classes, input, metrics and more", thing),
            }
        },
        "/api/runs": {
            "get": {
                "summary": "The runs, the newest first",
                "parameters": [
                    _query("limit", "How many", {"type": "integer", "maximum": MOST_RUNS, "default": USUAL_RUNS}),
                    _query("before", "Only those older than the run of this id", text),
                ],
                "responses": _answers(
                    "Under `runs`: id, state, settings; `more` says whether there are older", thing, 400
                ),
            }
        },
        "/api/runs/{run}": {
            "get": {
                "summary": "One run: its settings, state, newest measurements and results",
                "parameters": [RUN_ID],
                "responses": _answers("The run", thing, 404),
            }
        },
        "/api/runs/{run}/look": {
            "get": {
                "summary": "A network while it trains, as the Train page draws it",
                "description": "To ask has the training write, for some seconds, what it is just now: that changes "
                "nothing of it. Under `shown`: filters, norms, and answers to validation images, packed for that page, "
                "whose form may change with any version. `ended` says that there will be no more.",
                "parameters": [
                    RUN_ID,
                    _query("since", "The `stamp` of the answer before: without a newer look there is no `shown`", text),
                    _query("image", "A drawing as the network reads it: its pixels in base64", text),
                ],
                "responses": _answers("The newest look", thing, 400, 404),
            }
        },
        "/api/runs/{run}/events": {
            "get": {
                "summary": "The run's events as they happen (server-sent events)",
                "description": "Each message is a line of the run's metrics.jsonl, its id the position behind it. The "
                "last one is named `closed` and comes when the run has ended; an ended run of which nothing is left "
                "is answered with 204. With view=curves each message is the newest state of the curves as Plotly "
                "figures, about once a second while they change.",
                "parameters": [
                    RUN_ID,
                    _query("from", "Where to begin: the id of an event, or `end`", {**text, "default": "0"}),
                    {"name": "Last-Event-ID", "in": "header", "description": "The same", "schema": text},
                    _query("view", "What to send", {**text, "enum": ["events", "curves"], "default": "events"}),
                    _query("behind", "For curves: ids of ended runs to draw behind it, apart by commas", text),
                    _query("seeds", "For curves: runs of other seeds; the mean over all is drawn with a band", text),
                ],
                "responses": _answers("Events", text, 400, 404, kind="text/event-stream"),
            }
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "MNIST Lab",
            "version": "1",
            "description": "Nothing that changes the lab can be reached here: trainings are started on its pages.",
        },
        "servers": [{"url": base or "/"}],
        "paths": paths,
    }


STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.75rem; } h2 { margin: 2.5rem 0 0; overflow-wrap: anywhere; }
code, pre { font: 0.875rem/1.5 ui-monospace, monospace; } h2 code { font-size: 1.125rem; font-weight: 600; }
pre { overflow-x: auto; padding: 0.75rem; border: 1px solid; border-radius: 0.5rem; }
table { border-collapse: collapse; width: 100%; } td { padding: 0.25rem 0.75rem 0.25rem 0; vertical-align: top; }
td:first-child { white-space: nowrap; width: 8rem; }
caption { text-align: left; font-weight: 600; padding-top: 0.5rem; }
a { color: inherit; }
"""


def page(base: str) -> str:
    """The document as a page, without scripts. All of it is ours, and escaped all the same."""
    described = document(base)
    parts = [f"<p>{_prose(described['info']['description'])}</p>"]
    parts.append(f'<p>For programs: <a href="{escape(base)}/api/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>')
    parts.append(
        "<pre>curl -H 'Content-Type: image/png' --data-binary @7.png \\\n"
        f"  'http://127.0.0.1:8501{escape(base)}/api/predict?model={DEFAULT_MODEL}'</pre>"
    )
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><code>{method.upper()} {escape(base + path)}</code></h2>")
            parts.append(f"<p>{_prose(operation['summary'])}. {_prose(operation.get('description', ''))}</p>")
            parts.append(_table("Parameters", [(one["name"], one) for one in operation.get("parameters", [])]))
            parts.append(_table("Answers", list(operation["responses"].items())))
    title = escape(described["info"]["title"])
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>HTTP interface · {title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><h1>{title}: the HTTP interface</h1>{''.join(parts)}</body></html>"
    )


def _table(title: str, rows: list[tuple[str, dict[str, Any]]]) -> str:
    """The rows' names and descriptions under a title; nothing where there are none."""
    cells = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{_prose(row['description'])}</td></tr>" for name, row in rows
    )
    return f"<table><caption>{title}</caption>{cells}</table>" if rows else ""


def _prose(text: str) -> str:
    """Text with `code` → HTML."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))
