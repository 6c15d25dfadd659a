"""The documents: they are short, their links and commands lead somewhere, and no variable is left out."""

from __future__ import annotations

import importlib.util
import itertools
import re
import typing
from pathlib import Path

import pytest

from mnist_core.models.card import Card
from mnist_core.system.settings import PREFIX, Limits
from mnist_core.training.events import Event

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
PATH = re.compile(r"`((?:mnist_core|ui|pages|tests|benchmarks|docs)/[\w/.]*|\w+/\w+\.(?:py|js))`")
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
    for path in set(PATH.findall(words)):
        assert (ROOT / path).exists() or (ROOT / "mnist_core" / path).exists(), path
    for path, word in re.findall(r"pytest.* (tests/\S+) -k (\w+)", words):
        assert re.search(rf"def test_\w*{word}", text(ROOT / path)), f"{path} -k {word}"


@pytest.mark.slow
def test_python_in_the_readme_runs(capsys):
    (program,) = re.findall(r"^```python\n(.*?)^```", text(README), re.M | re.S)
    exec(program, {})
    *epochs, accuracy, prediction = capsys.readouterr().out.splitlines()
    assert len(epochs) == 20
    assert float(accuracy) > 0.9
    assert prediction.split()[0] in "0123456789"


def test_every_picture_is_shown():
    shown = {(document.parent / file).resolve() for document in DOCUMENTS for file, _ in LINK.findall(text(document))}
    assert set(ROOT.glob("docs/*.png")) <= shown


def test_results_in_the_readme_are_in_the_documents():
    rows = re.findall(r"^\| \[.+?\]\((docs/\w+\.md)#[^)]*\) \| (.+) \|$", text(README), re.M)
    assert len(rows) == 7
    for file, measured in rows:
        assert set(FIGURE.findall(measured)) <= set(FIGURE.findall(text(ROOT / file))), file


def table(document: str, heading: str) -> list[list[str]]:
    """The rows of the first table below the heading, without its head."""
    lines = text(ROOT / "docs" / document).partition(f"## {heading}\n")[2].splitlines()
    rows = [line for line in itertools.takewhile(lambda line: not line.startswith("## "), lines) if line[:1] == "|"]
    return [[cell.strip() for cell in re.split(r" \| ", row.strip("| "))] for row in rows[2:]]


def names(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def test_every_kind_of_event_has_its_fields():
    described = {name: names(cells[-1]) for cells in table("formats.md", "Events") for name in names(cells[0])}
    fields = [typing.get_type_hints(kind) for kind in typing.get_args(Event)]
    assert described == {typing.get_args(kind["event"])[0]: kind.keys() - {"event"} for kind in fields}


def test_the_card_has_its_fields():
    assert set().union(*(names(cells[0]) for cells in table("formats.md", "A checkpoint"))) == set(Card.model_fields)


def test_every_module_is_in_its_package():
    described = {
        re.sub(r"[`/]|mnist_core", "", cells[1]): names(cells[-1]) for cells in table("architecture.md", "The packages")
    }
    for package in (ROOT / "mnist_core").glob("*/__init__.py"):
        modules = {path.stem for path in package.parent.glob("*.py")} - {"__init__", "__main__"}
        assert described[package.parent.name] == modules


def test_every_environment_variable_is_documented():
    read = {f"{PREFIX}{name.upper()}" for name in Limits.model_fields}
    for path in (ROOT / "mnist_core").rglob("*.py"):
        read |= set(VARIABLE.findall(text(path)))
    assert set(VARIABLE.findall(text(ROOT / "docs" / "operating.md"))) == read | OF_THE_TESTS
