"""Who may import whom: a wing imports only what stands below it, no file imports in a circle, the library no screen."""

import ast
import graphlib
import os
import re
import subprocess
import sys

import pytest

from tests.helpers import ROOT

FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path.read_text(encoding="utf-8")
    for folder in ("mnist_core", "server", "ui")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
LIBRARY = [name for name in FILES if name.split(".")[0] == "mnist_core"]
FLOORS = [
    ["errors", "lazy"],
    ["config", "system", "drawing"],
    ["models", "data", "recipes"],
    ["inference"],
    ["training", "explain", "figures"],
    ["runs"],
    ["experiments"],
    ["cli"],
    ["__main__"],
]
FLOOR = {wing: number for number, wings in enumerate(FLOORS) for wing in wings}


def imported(source: str) -> set[str]:
    """Every module that `source` imports, wherever in it; `from a import b` counts as `a` and `a.b`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def wing(module: str) -> str:
    return [*module.split("."), ""][1]


@pytest.mark.parametrize("name", LIBRARY)
def test_a_wing_imports_only_what_stands_below_it(name):
    used = {wing(other) for other in imported(FILES[name]) if other.startswith("mnist_core.")} & FLOOR.keys()
    if wing(name) in FLOOR:
        assert {other for other in used if other != wing(name) and FLOOR[other] >= FLOOR[wing(name)]} == set()


def test_no_two_files_import_each_other():
    graph = {name: {other for other in imported(source) if other in FILES} for name, source in FILES.items()}
    assert list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names the files


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_imports_no_screen(name):
    roots = {other.split(".")[0] for other in imported(FILES[name])}
    assert not roots & {"streamlit", "streamlit_drawable_canvas", "ui", "pages", "app", "server"}


SERVER = [name for name in FILES if name.split(".")[0] == "server"]


@pytest.mark.parametrize("name", SERVER)
def test_the_server_imports_the_library_and_starlette_alone(name):
    roots = {other.split(".")[0] for other in imported(FILES[name])} - sys.stdlib_module_names
    assert roots <= {"mnist_core", "server", "starlette", "anyio"}


def test_the_server_loads_nothing_heavy_before_it_is_asked():
    heavy = ["torch", "scipy", "sklearn", "PIL", "plotly", "pydantic", "numpy", "streamlit"]
    program = f"import sys, server.routes, server.headers, server.nodelay\nprint(sys.modules.keys() & {heavy})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stdout + done.stderr


def test_only_the_comparison_of_speed_imports_torchvision():
    """It costs 1.3 s and 160 MB, so no process that serves pages loads it."""
    users = {name for name in FILES if any(other.split(".")[0] == "torchvision" for other in imported(FILES[name]))}
    assert users == {"mnist_core.experiments.speed"}


def test_settings_alone_reads_the_variables_of_the_lab():
    """Other files name them within sentences only."""
    readers = {
        name
        for name, source in FILES.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and re.fullmatch(r"MNIST_LAB_\w*", str(node.value))
    }
    assert readers == {"mnist_core.system.settings"}


def test_all_of_the_library_can_be_imported_without_streamlit():
    program = (
        "import importlib, sys\n"
        "sys.modules.update(streamlit=None, streamlit_drawable_canvas=None, ui=None)\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
    )
    names = [name for name in LIBRARY if not name.endswith("__main__")]  # which begin to work when imported
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program, *names], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_module_is_imported(path):
    names = {part for other in imported(path.read_text(encoding="utf-8")) for part in other.split(".")}
    assert not {name for name in names if name.startswith("test_")}


def test_names_of_tests_have_60_characters_at_most():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    assert [name for source in sources for name in re.findall(r"def (test_\w{56,})", source)] == []
