"""The documents: they are short, their links and commands lead somewhere, and no variable is left out."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from mnist_core.system.settings import PREFIX, Limits

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
FIGURE = re.compile(r"\d+(?:\.\d+)?")
VARIABLE = re.compile(rf"{PREFIX}[A-Z]+(?:_[A-Z]+)*")
OF_THE_TESTS = {"MNIST_LAB_REQUIRE", "MNIST_LAB_CHROMIUM"}


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def anchors(document: Path) -> set[str]:
    """The headings as GitHub links to them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text(document), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short():
    assert len(text(README).splitlines()) <= 130
    assert README.stat().st_size <= 8000


@every_document
def test_links_lead_somewhere(document):
    for file, anchor in LINK.findall(text(document)):
        target = document.parent / file if file else document
        assert target.is_file(), file
        assert not anchor or anchor in anchors(target), f"{file}#{anchor}"


@every_document
def test_modules_and_files_named_are_there(document):
    words = text(document)
    for module in set(re.findall(r"python -m ([\w.]+)", words)):
        assert importlib.util.find_spec(module), module
    for path in set(re.findall(r"(?:mnist_core|ui|pages|tests|benchmarks)/[\w/]*\w(?:\.py|\.js)?/?(?=[`\s])", words)):
        assert (ROOT / path).exists(), path
    for path, word in re.findall(r"pytest.* (tests/\S+) -k (\w+)", words):
        assert re.search(rf"def test_\w*{word}", text(ROOT / path)), f"{path} -k {word}"


def test_every_picture_is_shown():
    shown = {(document.parent / file).resolve() for document in DOCUMENTS for file, _ in LINK.findall(text(document))}
    assert set(ROOT.glob("docs/*.png")) <= shown


def test_results_in_the_readme_are_in_the_documents():
    rows = re.findall(r"^\| \[.+?\]\((docs/\w+\.md)#[^)]*\) \| (.+) \|$", text(README), re.M)
    assert len(rows) == 6
    for file, measured in rows:
        assert set(FIGURE.findall(measured)) <= set(FIGURE.findall(text(ROOT / file))), file


def test_every_environment_variable_is_documented():
    read = {f"{PREFIX}{name.upper()}" for name in Limits.model_fields}
    for path in (ROOT / "mnist_core").rglob("*.py"):
        read |= set(VARIABLE.findall(text(path)))
    assert set(VARIABLE.findall(text(ROOT / "docs" / "operating.md"))) == read | OF_THE_TESTS
