"""What SECURITY.md promises of the source and the settings, read from them."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest
import streamlit as st

from mnist_core.drawing.images import MAX_BYTES
from mnist_core.errors import LabError
from mnist_core.runs.run import open_run
from tests.helpers import ROOT
from ui.live.legend import legend

SOURCES = [
    ROOT / "home.py",
    *(path for folder in ("mnist_core", "ui", "pages", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))),
]
# file → what it may do although it is forbidden, and why
JUSTIFIED = {
    ("mnist_core/data/cifar10.py", "pickle"): "CIFAR-10's files are pickles: its unpickler knows four harmless names",
    ("mnist_core/runs/calls.py", "pickle"): "a server and the worker that it started, over pipes that they alone have",
    ("ui/widgets/canvas.py", "html"): "the style sheet beside it, and nothing from outside",
    ("ui/live/legend.py", "html"): "each name goes through html.escape: test_a_legend_escapes_names",
    ("ui/widgets/table.py", "html"): "each text goes through html.escape: tests/ui/test_table.py",
}


def dangers(source: str) -> set[str]:
    """What in `source` could run code that came from outside, or show it as HTML."""
    tree = ast.parse(source)
    constants = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name.split(".")[0] for alias in node.names} | {
                (getattr(node, "module", "") or "").split(".")[0]
            }
            found |= names & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        last = name.rsplit(".", 1)[-1]
        given = {keyword.arg: keyword.value for keyword in node.keywords}

        def says(option: str, value: bool, given: dict = given) -> bool:
            return isinstance(given.get(option), ast.Constant) and given[option].value is value

        if name in ("eval", "exec", "compile", "__import__") or (last == "system" and name.startswith("os.")):
            found.add(last)
        if name == "torch.load" and not says("weights_only", True):
            found.add("torch.load")
        if "allow_pickle" in given and not says("allow_pickle", False):
            found.add("allow_pickle")
        if name.startswith("yaml.") and last != "safe_load":
            found.add("yaml")
        if "shell" in given and not says("shell", False):
            found.add("shell")
        if "unsafe_allow_html" in given or "unsafe_allow_javascript" in given:
            found.add("html")
        fixed = node.args and (isinstance(node.args[0], ast.Constant) or getattr(node.args[0], "id", "") in constants)
        if last in ("html", "iframe") and not fixed:
            found.add("html")
    return found


@pytest.mark.parametrize(
    ("source", "danger"),
    [
        ("import pickle", "pickle"),
        ("from joblib import load", "joblib"),
        ("torch.load(path)", "torch.load"),
        ("torch.load(path, weights_only=False)", "torch.load"),
        ("torch.load(path, weights_only=flag)", "torch.load"),
        ("np.load(path, allow_pickle=True)", "allow_pickle"),
        ("eval(text)", "eval"),
        ("yaml.load(text)", "yaml"),
        ("subprocess.run(text, shell=True)", "shell"),
        ("st.markdown(text, unsafe_allow_html=True)", "html"),
        ("st.html(f'<b>{name}</b>')", "html"),
        ("st.html(name)", "html"),
        ("st.components.v1.html(text)", "html"),
    ],
)
def test_the_source_check_finds_each_danger(source, danger):
    assert dangers(source) == {danger}


def test_the_source_check_passes_harmless_code():
    assert not dangers("A = '<b>'\ntorch.load(p, weights_only=True)\nst.html(A)\nst.html('<b>')\nmodel.eval()")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_source_runs_foreign_code_or_renders_user_html(path):
    name = path.relative_to(ROOT).as_posix()
    found = dangers(path.read_text(encoding="utf-8"))
    assert found == {danger for file, danger in JUSTIFIED if file == name}


@pytest.mark.parametrize("name", ["chart", "answer"])
def test_scripts_of_components_write_no_html(name):
    script = (ROOT / "ui" / "live" / f"{name}.js").read_text(encoding="utf-8")
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", script)


def test_a_legend_escapes_names(monkeypatch):
    shown = []
    monkeypatch.setattr(st, "html", shown.append)
    monkeypatch.setattr(st, "caption", lambda text: None)
    legend(["<img src=x onerror=alert(1)>", "a & b"], "")
    assert "<img" not in shown[0]
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown[0]
    assert "a &amp; b" in shown[0]


def test_default_streamlit_settings_are_safe():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    server = settings["server"]
    assert server["address"] == "127.0.0.1"
    assert server["allowedHosts"] == ["localhost", "127.0.0.1", "::1"]
    assert server["enableXsrfProtection"] is True
    assert server["enableCORS"] is True
    assert server["maxUploadSize"] * 2**20 == MAX_BYTES
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["client"]["showErrorDetails"] == "none"
    # the interface for programs would let them click without a page
    assert not server.get("enableAgentApi", False)


@pytest.mark.parametrize(
    "name",
    ["..", "../runs", "/etc/passwd", "a/../b", "a\\b", "", ".", "C:\\x", "x\x00", "%2e%2e", "a" * 101, "~", "-rf"],
)
def test_what_is_no_runs_name_never_becomes_a_path(name):
    with pytest.raises(LabError, match="There is no run"):
        open_run(name)


def test_security_md_names_every_setting():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for variable in ("MODE", "MAX_EPOCHS", "MAX_MINUTES", "MAX_QUEUE", "MAX_STORAGE"):
        assert f"MNIST_LAB_{variable}" in text
    assert re.search(r"pip-audit", text)
