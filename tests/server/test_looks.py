"""GET /api/runs/ID/look: what it answers while a run trains, and what it refuses."""

from __future__ import annotations

import base64

import pytest

from mnist_core.data.loading import load_dataset
from mnist_core.runs import looks
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run
from mnist_core.system.settings import runs_folder
from tests.helpers.runs import CONFIG


def test_a_training_answers_with_its_newest_look(web, monkeypatch):
    """Asked between its steps, as a browser does: the first question is the request, the next one has an answer."""
    monkeypatch.setattr(looks, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(looks, "MOST_SHARE", 1e9)
    run = create_run(CONFIG.replace(model="small-cnn"), runs_folder())
    path = f"/api/runs/{run.id}/look"
    drawing = base64.urlsafe_b64encode(load_dataset("digits").test_images[0].tobytes()).decode()
    found = []

    def ask(event: dict) -> None:
        if event["event"] == "step" and event["step"] in (1, 3, 4):
            found.append(web.get(path).json)
        if event["event"] == "step" and event["step"] == 6:
            stamp = web.get(path).json["stamp"]
            found.append(web.get(f"{path}?since={stamp}").json)
            found.append(web.get(f"{path}?image={drawing}").json)
            found.append(web.get(f"{path}?image=AAAA"))

    execute(run, on_event=ask)
    first, third, fourth, nothing_new, drawn, refused = found
    assert first == {"stamp": ""}
    assert [frame["step"] for each in (third, fourth) for frame in each["shown"]["frames"]] == [2, 3]
    assert third["stamp"] != fourth["stamp"]
    assert len(third["shown"]["digits"]) == 12
    assert nothing_new.keys() == {"stamp"}
    assert drawn["shown"]["words"]["drawnTitle"] == "Your drawing"
    assert refused.status == 400
    assert "1×28×28 pixels" in refused.json["error"]
    assert web.get(path).json == {"ended": True}
    assert not (run.folder / looks.ASKED).exists()


@pytest.mark.parametrize("name", ["none", "..%2f..", "x" * 200])
def test_a_run_that_is_not_there_is_a_404(web, name):
    assert web.get(f"/api/runs/{name}/look").status == 404


def test_the_lab_for_drawings_alone_shows_none(web, monkeypatch, stopped):
    monkeypatch.setenv("MNIST_LAB_MODE", "draw-only")
    assert web.get(f"/api/runs/{stopped.id}/look").status == 403
