"""The mutated inputs of test_fuzz.py, tried on the HTTP interface: a status, a sentence, and nothing else happens."""

import hashlib
import json
import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from mnist_core.models.checkpoint import CARD, WEIGHTS
from mnist_core.runs.run import Run
from mnist_core.training.resume import RESUME, load_resume
from tests.helpers.mutations import (
    COUNT,
    mutated_bytes,
    mutated_json,
    mutated_run,
    mutated_sheet,
    mutated_state,
    mutated_weights,
    pictures,
    rng_of,
    strange_words,
    zipped,
)
from tests.helpers.web import Answer, messages, site

REFUSALS = (400, 404, 415)


class Asked:
    """Sends requests and counts how they were answered."""

    def __init__(self, web) -> None:
        self.web = web
        self.counts = Counter()

    def __call__(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        answer = self.web.ask(method, path, body, **headers)
        while answer.status == 429:  # a fast machine asks more often than a person may
            time.sleep(int(answer.headers["retry-after"]))
            answer = self.web.ask(method, path, body, **headers)
        self.counts[answer.status] += 1
        if answer.status in REFUSALS:
            assert answer.error
        elif answer.headers.get("content-type", "").startswith("text/event-stream"):
            assert messages(answer.body.decode())[-1].name == "closed"
        else:
            assert answer.status in (200, 204), answer.body
            assert answer.status == 204 or isinstance(json.loads(answer.body, parse_constant=_refuse), dict)
        return answer

    def predict(self, body: bytes, query: str = "", kind: str = "image/png") -> Answer:
        return self("POST", f"/api/predict{query}", body, Content_Type=kind)

    def read(self, run: Run) -> None:
        """All that can be asked of a run."""
        self("GET", f"/api/runs/{run.id}")
        self("GET", f"/api/runs/{run.id}/events")
        self("GET", f"/api/runs/{run.id}/events?view=curves&behind={run.id},x")
        self.predict(pictures()[0], f"?model={run.id}")

    @property
    def refused(self) -> int:
        return sum(self.counts[status] for status in REFUSALS)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@pytest.fixture
def asked(surroundings, monkeypatch, caplog) -> Iterator[Asked]:
    monkeypatch.setenv("MNIST_LAB_RUNS", str(surroundings))
    caplog.set_level(logging.WARNING)
    with site() as web:
        asked = Asked(web)
        yield asked
    assert not caplog.records
    print(dict(asked.counts))


@pytest.fixture
def copied(surroundings, trained) -> Run:
    return Run(shutil.copytree(trained.folder, surroundings / trained.id))


def test_mutated_weights(asked, copied):
    """Half of them with a card that names their sum; the others have the checkpoint before answer."""
    folder = copied.checkpoint()
    whole, card = (folder / WEIGHTS).read_bytes(), json.loads((folder / CARD).read_text())
    for number, rng in enumerate(rng_of("bytes")):
        mutated = mutated_weights(whole, number, rng)
        (folder / WEIGHTS).write_bytes(mutated)
        sums = {"weights_sha256": hashlib.sha256(mutated).hexdigest()} if number % 2 == 0 else {}
        (folder / CARD).write_text(json.dumps({**card, **sums}))
        asked.predict(pictures()[0], f"?model={copied.id}")
    assert asked.refused > COUNT["bytes"] / 4


def test_mutated_cards(asked, copied):
    card = copied.checkpoint() / CARD
    value = json.loads(card.read_text())
    for rng in rng_of("cards"):
        card.write_bytes(mutated_json(value, rng))
        asked.predict(pictures()[0], f"?model={copied.id}&input=1&canvas=1")
        asked("GET", "/api/models")
        asked("GET", f"/api/runs/{copied.id}")
    assert asked.counts[200] > COUNT["cards"]


def test_mutated_runs(asked, surroundings, trained):
    for number, rng in enumerate(rng_of("runs")):
        run = mutated_run(trained, surroundings / f"{number}-run", rng)
        if not run.status().active:
            asked.read(run)
    listed = asked("GET", "/api/runs?limit=1000").json["runs"]
    assert len(listed) == COUNT["runs"]


def test_mutated_states(asked, surroundings, copied):
    whole, saved = (copied.folder / RESUME).read_bytes(), load_resume(copied.folder)[0]
    trap = surroundings.parent / "executed"
    for number, rng in enumerate(rng_of("states")):
        mutated = mutated_state(whole, saved, number, rng, str(trap))
        (copied.folder / RESUME).write_bytes(mutated)
        asked("GET", f"/api/runs/{copied.id}")
        asked.predict(mutated)
        assert not trap.exists()
    assert asked.refused == COUNT["states"]


def test_mutated_pictures(asked):
    originals = pictures()
    for number, rng in enumerate(rng_of("pictures")):
        content = originals[number % len(originals)]
        asked.predict(mutated_bytes(content, rng) if number >= len(originals) else content, "?input=1")
    assert asked.refused > 10
    assert asked.counts[200] > 10


def test_mutated_zips(asked):
    for number, rng in enumerate(rng_of("zips")):
        content = zipped(rng)
        asked.predict(content if number % 2 else mutated_bytes(content, rng))
    assert asked.refused == COUNT["zips"]


def test_mutated_pen_strokes(asked):
    """Whole files, which are no drawing, and the drawings in them."""
    drawing = {"box": [50, 60], "y_axis": "down", "strokes": [[[1, 2], [30, 44]], [[5, 5, 0.1]]]}
    for number, rng in enumerate(rng_of("strokes")):
        asked.predict(mutated_sheet(number, rng), kind="application/json")
        asked.predict(mutated_json(drawing, rng), kind="application/json")
    assert asked.counts[400] > COUNT["strokes"]
    assert asked.counts[200] > 2


def test_strange_words_in_an_address(asked, surroundings, copied):
    words = strange_words(surroundings / "pipe")
    for rng in rng_of("words"):
        one, other = (quote(rng.choice(words)[:3000], safe="") for _ in range(2))
        asked.predict(pictures()[0], f"?model={one}")
        asked("GET", f"/api/runs/{copied.id}/events?from={one}&view={rng.choice(['events', 'curves'])}&behind={other}")
        asked("GET", f"/api/runs/{copied.id}/events", Last_Event_ID=one)
        asked("GET", f"/api/runs?limit={one}&before={other}")
        asked("GET", f"/api/runs/{one}")
    assert asked.refused > 2 * COUNT["words"]
