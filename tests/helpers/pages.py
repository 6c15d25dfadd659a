"""The pages through Streamlit's AppTest."""

import atexit
import base64
import io
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image
from streamlit.testing.v1 import AppTest

from mnist_core.config import TrainConfig
from mnist_core.recipes import get_recipe
from mnist_core.runs.catalogue import models
from mnist_core.runs.execute import execute
from mnist_core.runs.run import Run, create_run
from tests.helpers import ROOT, until
from ui import warmup

PAGES = (
    "home.py",
    *(f"pages/{name}.py" for name in ("train", "draw", "teach", "inside", "replay", "results", "compare", "data")),
)

FOLDS = ("knobs-augmentation", "knobs-more", "knobs-ending", "finder", "layers", "runs-kept", "bring")


@cache
def warmed_up() -> None:
    """Waits until a server would have loaded everything, so that no page waits for it."""
    warmup.page_sent()
    until(warmup.ready, 120)


def visit(page: str, folded: bool = False, **state: object) -> AppTest:
    """The page in a fresh browser, with what it has folded up opened, unless it is to be `folded`."""
    warmed_up()
    app = AppTest.from_file(str(ROOT / "home.py"), default_timeout=60)
    folds = [] if folded else [*FOLDS, *(f"about-{model.id}" for model in models())]
    for name, value in {**dict.fromkeys(folds, True), **state}.items():
        app.session_state[name] = value
    app.run()
    return app if page == "home.py" else app.switch_page(page).run()


def words(app: AppTest) -> str:
    """All that the page says."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(app, kind))


def answer(app: AppTest) -> dict:
    """What the Draw page gives to the component that shows the answer; see ui/live/answer.py."""
    (shown,) = (each.proto for each in app.get("bidi_component") if each.proto.component_name == "mnist_lab.answer")
    return json.loads(shown.json)


def html_table(app: AppTest) -> list[dict[str, str]]:
    """The rows of the page's only HTML table, by their columns' headings; see ui/widgets/table.py."""
    (html,) = (each.proto.body for each in app.get("html") if "<table" in each.proto.body)
    table = ElementTree.fromstring(html[html.index("<table") : html.index("</table>") + len("</table>")])
    head, *rows = (["".join(cell.itertext()) for cell in row] for row in table.iter("tr"))
    return [dict(zip(head, row, strict=True)) for row in rows]


def finished_run(**settings: object) -> Run:
    """A completed run of two epochs on the built-in digits; trained once a process and copied from then on."""
    run = create_run(get_recipe("quick").config("digits").replace(epochs=2, **settings))
    shutil.copytree(_trained(run.config()), run.folder, dirs_exist_ok=True)
    return run


@cache
def _trained(config: TrainConfig) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="mnist-lab-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run = create_run(config, folder)
    execute(run)
    assert run.status().state == "completed"
    return run.folder


def drawn_seven() -> dict:
    """What the canvas component reports after one stroke."""
    pixels = np.zeros((280, 280, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[60:80, 80:200] = 255
    for step in range(150):
        x = 185 - step // 3
        pixels[70 + step, x : x + 18] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return {"drawing": {"raw": {"objects": [{"type": "path"}]}, "data": url}}
