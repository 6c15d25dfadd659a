"""Who may import whom. Read from the source, and once more by importing everything where Streamlit is forbidden."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = {path.stem: path for path in sorted((ROOT / "mnist_core").glob("*.py")) if path.stem != "__init__"}
SCREENS = {"streamlit", "streamlit_drawable_canvas", "ui", "pages", "app"}

# what stands on a line may import only what stands on lines above it, and on its own line nothing
FLOORS = [
    ["errors", "files", "event_log"],
    ["config", "drawing", "picture_file", "sources", "figures", "archives", "cifar", "holdout", "cores"],
    ["statistics", "hand", "objections", "calibration", "about", "limits", "owners", "parallel"],
    ["download", "recipes", "architectures", "augment", "fitting", "pen_strokes", "schedule", "control", "curves"],
    ["models", "picture_folder", "non_digits", "calibration_figure"],
    ["data"],
    ["extra"],
    ["evaluation", "checkpoints"],
    ["state", "predict"],
    ["training"],
    ["runs", "overlays", "timing", "resume"],
    ["queue", "verdict", "follow"],
    ["results", "warmup", "turn"],
    ["worker", "comparison", "bench", "storage"],
    ["start_worker", "pool", "admission"],
    ["ablation"],
    ["reproduce", "bundle", "analysis"],
    ["cli"],
    ["__main__"],
]
FLOOR = {name: level for level, names in enumerate(FLOORS) for name in names}
EVERYWHERE = {"errors", "files"}
# those of whom the design says more
ONLY = {
    "errors": set(),
    "files": set(),
    "event_log": set(),
    "figures": set(),
    "curves": {"figures"},
    "overlays": {"curves"},
    "statistics": set(),
    "about": EVERYWHERE,
    "calibration": set(),
    "calibration_figure": {"calibration", "figures"},
    "objections": set(),
    "non_digits": {"drawing", "parallel"},
    "config": EVERYWHERE,
    "cores": EVERYWHERE,
    "start_worker": {"cores", "worker"},
    "drawing": EVERYWHERE,
    "picture_file": EVERYWHERE,
    "sources": EVERYWHERE,
    "download": EVERYWHERE | {"sources"},
    "augment": EVERYWHERE | {"config"},
    "architectures": EVERYWHERE | {"config"},
    "control": EVERYWHERE | {"config"},
    "schedule": {"config"},
    "models": EVERYWHERE | {"config", "architectures"},
    "archives": EVERYWHERE,
    "holdout": EVERYWHERE,
    "fitting": {"picture_file"},
    "picture_folder": EVERYWHERE | {"archives", "picture_file", "fitting", "holdout", "parallel"},
    "pen_strokes": EVERYWHERE | {"drawing", "hand", "holdout", "parallel"},
    "hand": set(),
    "extra": EVERYWHERE | {"config", "data", "non_digits", "pen_strokes"},
    "parallel": EVERYWHERE | {"cores"},
    "cifar": EVERYWHERE,
    "data": EVERYWHERE | {"archives", "cifar", "config", "pen_strokes", "picture_folder"},
    "recipes": EVERYWHERE | {"config"},
    "predict": EVERYWHERE | {"checkpoints", "drawing", "data", "config", "fitting", "objections", "calibration"},
}


def imported(source: str) -> set[str]:
    """Every module that `source` imports, wherever in it; `from a import b` counts as `a` and `a.b`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = (
                ("mnist_core" if node.level else "") + ("." if node.level and node.module else "") + (node.module or "")
            )
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = ast.unparse(node.func)
            if name in ("__import__", "import_module", "importlib.import_module"):
                found.add(str(node.args[0].value))
    return found


def inside(source: str) -> set[str]:
    """The library's own modules that `source` imports."""
    parts = (name.split(".") for name in imported(source))
    return {part[1] for part in parts if part[0] == "mnist_core" and len(part) > 1 and part[1] in MODULES}


def screens(source: str) -> set[str]:
    return {name.split(".")[0] for name in imported(source)} & SCREENS


@pytest.mark.parametrize(
    "source",
    [
        "import streamlit as st",
        "def f():\n    from streamlit.runtime import get_instance",
        "if True:\n    import os, streamlit.components.v2",
        "import importlib\nimportlib.import_module('streamlit')",
        "from ui.page import header",
    ],
)
def test_the_reader_of_imports_finds_a_screen(source):
    assert screens(source)
    assert not screens("# import streamlit\nx = 'import streamlit'\nimport mnist_core.config")


def test_the_reader_of_imports_finds_the_librarys_own_modules():
    source = (
        "import mnist_core.runs\nfrom mnist_core import data\ndef f():\n    from mnist_core.config import TrainConfig"
    )
    assert inside(source) == {"runs", "data", "config"}
    assert inside("from . import files\nfrom .models import MODELS") == {"files", "models"}


@pytest.mark.parametrize("name", [*MODULES, "__init__"])
def test_the_library_knows_no_screen(name):
    source = (ROOT / "mnist_core" / f"{name}.py").read_text(encoding="utf-8")
    assert not screens(source)


def test_every_module_has_its_place_in_the_house():
    assert set(MODULES) == set(FLOOR)


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_downwards_only(name):
    below = {other for other, level in FLOOR.items() if level < FLOOR[name]}
    used = inside(MODULES[name].read_text(encoding="utf-8"))
    assert used <= below, f"{name} stands beside or below {sorted(used - below)}"
    if name in ONLY:
        assert used <= ONLY[name]


def test_everything_can_be_imported_where_streamlit_cannot():
    program = (
        "import importlib, sys\n"
        "class Forbid:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('streamlit', 'streamlit_drawable_canvas', 'ui'):\n"
        "            raise ImportError('forbidden: ' + name)\n"
        "sys.meta_path.insert(0, Forbid())\n"
        "try:\n    import streamlit\nexcept ImportError:\n    print('forbidden')\n"
        "for name in sys.argv[1:]:\n    importlib.import_module('mnist_core.' + name)\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'streamlit']\n"
        "print('imported', len(sys.argv) - 1)\n"
    )
    names = [name for name in MODULES if name != "__main__"]  # which runs the command line
    done = subprocess.run(
        [sys.executable, "-c", program, *names],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["forbidden", "imported", str(len(names))]


def test_torchvision_is_not_imported_by_the_library():
    """It costs 1.3 s and 160 MB; the design allows it where a dataset is downloaded. `bench` times what others use."""
    for name, path in MODULES.items():
        found = {module for module in imported(path.read_text(encoding="utf-8")) if module.startswith("torchvision")}
        assert not found or name in ("sources", "bench")
