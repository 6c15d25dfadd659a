"""What leaves the lab is opened by what it is for: Jupyter's executor, the Hub's reader of cards, an HTML parser."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser

import nbformat
import numpy as np
import pytest
from huggingface_hub import ModelCard
from nbclient import NotebookClient
from safetensors.numpy import load_file

from mnist_core.data.prepare import load_for
from mnist_core.errors import ConfigError
from mnist_core.experiments.compare import record
from mnist_core.experiments.formats import FORMATS, run_of
from mnist_core.experiments.hub_card import hub_card
from mnist_core.experiments.report import report
from mnist_core.inference.interval import accuracy_text
from mnist_core.models.checkpoint import SHIPPED, load_checkpoint, read_card
from mnist_core.recipes import get_recipe
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run, list_runs
from tests.helpers import strict_json
from tests.helpers.evaluations import evaluated


@pytest.fixture
def run(small_mnist):
    """`quick` trained for two epochs on a small MNIST."""
    config = get_recipe("quick").config("mnist").replace(epochs=2, batch_size=64, validation_fraction=0.15)
    run = create_run(config, small_mnist / "runs")
    execute(run, small_mnist)
    assert run.status().state == "completed"
    return run


# ---- a notebook ------------------------------------------------------------------------------------------------------


def test_jupyter_runs_the_notebook_and_draws_both_curves(run, small_mnist, monkeypatch):
    (content,) = FORMATS["notebook"].make(run.checkpoint()).values()
    notebook = nbformat.reads(content.decode(), as_version=4)
    nbformat.validate(notebook)
    kept = notebook.cells[-1].outputs
    assert ["<svg" in output.data["image/svg+xml"] for output in kept] == [True, True]
    monkeypatch.setenv("DATA", str(small_mnist))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    shutil.rmtree(small_mnist / "runs")  # the lab is not needed
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": small_mnist}}
    ).execute()
    printed = "".join(out.text for cell in notebook.cells for out in cell.get("outputs", []) if "text" in out)
    assert float(printed.rpartition("accuracy ")[2].rstrip("%\n")) > 60
    drawn = [output.data["image/svg+xml"] for output in notebook.cells[-1].outputs]
    assert len(drawn) == 2
    assert all(">here<" in figure and ">lab<" in figure and figure.count("<polyline") == 2 for figure in drawn)


def test_a_shipped_models_notebook_has_no_curves_of_the_lab():
    (content,) = FORMATS["notebook"].make(SHIPPED / "tiny").values()
    notebook = nbformat.reads(content.decode(), as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[-1].outputs == []
    assert run_of(SHIPPED / "tiny") is None


# ---- a card of the Hub -----------------------------------------------------------------------------------------------


def test_the_hub_reads_the_card_of_each_shipped_model(tmp_path):
    for name in ("tiny", "pen", "best"):
        for file, content in FORMATS["card"].make(SHIPPED / name).items():
            (tmp_path / file).write_bytes(content)
        card, found = read_card(SHIPPED / name), ModelCard.load(tmp_path / "README.md")
        assert found.data.pipeline_tag == "image-classification"
        (result,) = found.data.eval_results
        assert (result.metric_type, result.metric_value) == ("accuracy", card.metrics["test_accuracy"])
        assert result.dataset_type == "ylecun/mnist"
        assert accuracy_text(card.metrics["test_accuracy"], 10_000) in found.text
        weights = load_file(tmp_path / "model.safetensors")
        assert sum(tensor.size for tensor in weights.values()) >= card.parameters


def test_texts_of_a_card_are_no_markup_and_no_yaml():
    card = read_card(SHIPPED / "tiny").model_copy(
        update={
            "name": 'a": [1]\n---\n# b <script>alert(1)</script>',
            "summary": "*bold* [link](http://evil.example) | \\",
            "classes": ["<b>", *"123456789"],
        }
    )
    found = ModelCard(hub_card(card).decode())
    assert found.data.model_name == card.name
    assert "<script>" not in found.text
    assert "<b>" not in found.text
    assert "\\[link\\]" in found.text


# ---- a report --------------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Tags that are open at the end, addresses, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.addresses, self.tags = "", [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "data")]

    def handle_data(self, data) -> None:
        self.text += data


def test_a_report_holds_all_it_shows(run, small_mnist):
    data = load_for(run.config(), small_mnist)
    result = evaluated(load_checkpoint(run.checkpoint()), data)
    page = report([record(run)], {run.id: "mine & <yours>"}, {run.id: (data, result)}).decode()
    read = Reader(page)
    assert "mine & <yours>" in read.text
    assert "<yours>" not in page
    assert read.addresses
    assert all(address.startswith("data:image/png;base64,") for address in read.addresses)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert "script" not in read.tags
    assert read.tags.count("svg") == 2
    assert read.tags.count("img") == min(24, len(result.mistakes()))
    assert accuracy_text(result.accuracy, 360) in read.text
    assert "--set epochs=2" in read.text
    wrong = result.confusion - np.diag(np.diag(result.confusion))
    assert page.count("background:rgba") == np.count_nonzero(wrong)


def test_a_report_sets_runs_side_by_side(run, small_mnist):
    other = create_run(run.config().replace(dropout=0.5, seed=3), small_mnist / "runs")
    execute(other, small_mnist)
    records = [record(each) for each in list_runs(small_mnist / "runs")]
    read = Reader(report(records).decode())
    assert "2 runs compared" in read.text
    for each in records:
        assert accuracy_text(each.figures["test_accuracy"], 360) in read.text
    assert "dropout" in read.text
    assert read.tags.count("polyline") == 2 * 2 * 2  # loss and accuracy, two runs, train and validation


# ---- on the command line ---------------------------------------------------------------------------------------------


def test_the_command_writes_files_and_refuses_to_replace_them(ask, tmp_path):
    for form, names in (("script", ["train.py"]), ("card", ["README.md", "card.json", "model.safetensors"])):
        folder = tmp_path / form
        status, out, _ = ask("export", "tiny", str(folder), "--format", form, "--json")
        assert status == 0
        assert sorted(strict_json(out)["files"]) == [str(folder / name) for name in names]
        assert sorted(path.name for path in folder.iterdir()) == names
        status, _, err = ask("export", "tiny", str(folder), "--format", form)
        assert (status, "is there already" in err) == (2, True)
    status, _, err = ask("export", "pen", str(tmp_path / "pen"), "--format", "script")
    assert (status, "begins with another model's weights" in err) == (2, True)
    assert not (tmp_path / "pen").exists()
    status, _, err = ask("export", "tiny", str(tmp_path / "n"), "--format", "notebook", "--summary", "x")
    assert (status, "leave them out" in err) == (2, True)
    with pytest.raises(ConfigError):
        FORMATS["notebook"].make(SHIPPED / "pen")
    assert json.loads(FORMATS["notebook"].make(SHIPPED / "tiny")["train.ipynb"])["nbformat"] == 4
