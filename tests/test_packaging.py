"""`pip install .`: what the wheel holds, and that its commands work from any folder and leave the package as it is."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
import tomllib
import urllib.request
import venv
import zipfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from socket import socket

import pytest
from PIL import Image

from mnist_core.cli import main
from mnist_core.drawing.strokes import render_strokes
from mnist_core.figures.plotly_js import plotly_js, plotly_js_name
from tests.helpers import ROOT

SHIPPED = ("mnist_core", "pages", "server", "ui", "checkpoints", "app.py", "home.py")
SHIPPED += (".streamlit/config.toml", "docs/reproduction.json")
COMMANDS = (
    "app",
    "train",
    "evaluate",
    "predict",
    "explain",
    "export",
    "search",
    "reproduce",
    "bench",
    "download",
    "recipes",
)


def test_both_lists_of_requirements_are_equal():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [line for line in lines if line and not line.startswith("#")] == project["dependencies"]


@dataclasses.dataclass(frozen=True)
class Installed:
    """The wheel, installed in an environment that sees the packages of this one but not the checkout."""

    wheel: Path
    bin: Path
    package: Path

    @property
    def environment(self) -> dict[str, str]:
        of_the_lab = ("MNIST_LAB_", "STREAMLIT_", "PYTHON")
        return {name: value for name, value in os.environ.items() if not name.startswith(of_the_lab)}

    def start(self, *command: str, folder: Path) -> subprocess.Popen:
        """A program of this environment in `folder`, its output in `folder`.log."""
        program, *arguments = command
        with folder.with_suffix(".log").open("w") as log:
            return subprocess.Popen(
                [str(self.bin / program), *arguments],
                cwd=folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def files(self) -> dict[str, int]:
        """All of the package but compiled code, and when each was written."""
        found = (path for path in self.package.rglob("*") if "__pycache__" not in path.parts)
        return {str(path.relative_to(self.package)): path.stat().st_mtime_ns for path in found}


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Installed:
    place = tmp_path_factory.mktemp("installed")
    isolation = ["--no-build-isolation"] if find_spec("hatchling") else []  # without it pip fetches it
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", *isolation, "--wheel-dir", place, ROOT], check=True)
    (wheel,) = place.glob("*.whl")
    venv.create(place / "venv", with_pip=False)
    own = {"base": str(place / "venv"), "platbase": str(place / "venv")}
    packages, programs = (Path(sysconfig.get_path(name, "venv", own)) for name in ("purelib", "scripts"))
    (packages / "tests.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}))
    python = next(programs.glob("python*"))
    subprocess.run([*pip, "--python", python, "install", "--no-deps", wheel], check=True)
    package = packages / "mnist_core"
    for path in [package, *package.rglob("*")]:  # as of a system's administrator
        path.chmod(0o555 if path.is_dir() else 0o444)
    return Installed(wheel, programs, package)


@pytest.fixture
def empty(tmp_path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.mark.slow
def test_the_wheel_holds_all_that_the_lab_needs(installed):
    sources = [path for name in SHIPPED for path in [ROOT / name, *(ROOT / name).rglob("*")] if path.is_file()]
    names = {path.relative_to(ROOT).as_posix() for path in sources if path.suffix != ".pyc"}
    expected = {name if name.startswith("mnist_core/") else f"mnist_core/_app/{name}" for name in names}
    with zipfile.ZipFile(installed.wheel) as wheel:
        found = set(wheel.namelist())
        (about,) = (name for name in found if name.endswith("entry_points.txt"))
        assert "mnist-lab = mnist_core.cli:main" in wheel.read(about).decode()
    assert {name for name in found if ".dist-info/" not in name} == expected
    assert "mnist_core/py.typed" in found
    assert "mnist_core/_app/checkpoints/pen/model.safetensors" in found


@pytest.mark.slow
def test_installed_commands_work_from_an_empty_folder(installed, empty):
    picture = empty.parent / "seven.png"
    Image.fromarray(render_strokes([[[80, 70], [200, 70], [130, 220]]], (280, 280))).save(picture)

    def output(*command: str) -> str:
        process = installed.start(*command, folder=empty)
        assert process.wait(timeout=120) == 0, empty.with_suffix(".log").read_text()
        return empty.with_suffix(".log").read_text()

    help_text = output("mnist-lab", "--help")
    assert help_text.startswith("usage: mnist-lab ")
    assert set(COMMANDS) <= set(help_text.split())
    assert json.loads(output("mnist-lab", "predict", "pen", str(picture)).splitlines()[-1])["digit"] == 7
    where = output(
        "python", "-c", "import mnist_core, mnist_core.experiments.reproduce as r\nprint(len(r.load_rows()))"
    )
    assert int(where) > 0
    assert list(empty.iterdir()) == []


def healthy(url: str, process: subprocess.Popen) -> bool:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
            return answer.status == 200
        time.sleep(0.2)
    return False


@pytest.fixture
def app(installed, empty):
    """→ (its address, its process): `mnist-lab app`, started in an empty folder."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    process = installed.start("mnist-lab", "app", "--server.headless", "true", "--server.port", port, folder=empty)
    try:
        assert healthy(f"http://127.0.0.1:{port}", process), empty.with_suffix(".log").read_text()
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait(timeout=60)


@pytest.mark.slow
def test_the_app_runs_with_the_labs_settings(installed, empty, app):
    url, process = app
    with urllib.request.urlopen(f"{url}/lab/{plotly_js_name()}", timeout=10) as answer:
        assert answer.read() == plotly_js().read_bytes()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == -signal.SIGTERM
    log = empty.with_suffix(".log").read_text()
    assert f" URL: {url}\n" in log  # the setting server.address
    assert not re.search("warning|error|restart|e-?mail", log, re.IGNORECASE), log


@pytest.mark.slow
@pytest.mark.browser
def test_the_installed_app_draws_charts_and_trains(browser, installed, empty, app):
    from tests.e2e.lab import SEVEN, draw, settled

    before = installed.files()
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{app[0]}/draw")
    page.locator("canvas.upper-canvas").wait_for()
    settled(page)
    draw(page, SEVEN)
    page.locator("[data-testid='answer'][data-digit='7'][data-source='page']").wait_for()
    page.goto(f"{app[0]}/train?epochs=3")
    page.get_by_role("button", name="Run", exact=True).click()
    page.locator("[data-testid='live-chart'][data-key='loss'] path.js-line").first.wait_for()
    page.get_by_text("Finished").first.wait_for()
    assert installed.files() == before
    assert [path.name for path in empty.iterdir()] == ["runs"]


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert set(COMMANDS) <= set(capsys.readouterr().out.split())


def test_app_passes_on_options_and_nothing_else(refused):
    assert "'now' is no option" in refused("app", "now")
    assert "unrecognized arguments: --server.port" in refused("recipes", "--server.port", "8600")
