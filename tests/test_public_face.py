"""`from mnist_core import …`: the names, where they come from, and that nothing heavy is loaded before it is used."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import mnist_core

NAMES = {
    *("TrainConfig", "get_recipe", "load_dataset", "Dataset", "TrainState", "train", "evaluate", "Predictor"),
    *("load_checkpoint", "create_run", "list_runs", "open_run", "LabError"),
}


def declared() -> dict[str, str]:
    """{name: module} of what is imported under `if TYPE_CHECKING:`."""
    source = ast.parse(Path(mnist_core.__file__).read_text(encoding="utf-8"))
    block = next(node for node in source.body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    return {alias.name: node.module for node in block.body for alias in node.names}


def test_the_public_names_are_those_documented():
    assert set(mnist_core.__all__) == set(declared()) == NAMES
    assert set(dir(mnist_core)) >= NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_public_name_is_what_type_checkers_see(name):
    assert getattr(mnist_core, name) is getattr(import_module(declared()[name]), name)


def test_an_unknown_name_is_an_error():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        mnist_core.trian  # noqa: B018


def test_importing_the_package_loads_nothing_heavy():
    program = (
        "import os, sys, mnist_core\n"
        "print(*sorted({'torch', 'numpy', 'streamlit', 'pydantic'} & sys.modules.keys()), os.environ['GOMP_SPINCOUNT'])"
    )
    root = Path(mnist_core.__file__).parents[1]
    environment = {"PATH": "", "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["20000"]


def test_the_package_says_that_it_is_typed():
    assert Path(mnist_core.__file__).with_name("py.typed").is_file()
