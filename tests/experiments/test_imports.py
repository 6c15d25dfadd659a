"""A bundle of one lab becomes a run of another; what is no bundle, or harmful, is a sentence and leaves nothing."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from mnist_core.errors import CheckpointError, ConfigError, LabError, RunError
from mnist_core.experiments import imports as module
from mnist_core.experiments.export import bundle
from mnist_core.experiments.imports import import_bundle
from mnist_core.models.checkpoint import load_checkpoint
from mnist_core.recipes import get_recipe
from mnist_core.runs.execute import execute
from mnist_core.runs.history import EventReader
from mnist_core.runs.run import create_run, list_runs
from mnist_core.runs.weight_snapshots import snapshot_path, snapshots
from tests.helpers import strict_json


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = create_run(get_recipe("quick").config("digits").replace(epochs=2, seed=5), tmp_path_factory.mktemp("there"))
    execute(run)
    return run


@pytest.fixture(scope="module")
def packed(run) -> bytes:
    return bundle(run)


def changed(packed: bytes, wrap: str = "", **files: bytes | None) -> bytes:
    """The bundle with some files (dots as two underscores) exchanged, added or, as None, left out."""
    wanted = {name.replace("__", "."): content for name, content in files.items()}
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name not in wanted:
                new.writestr(wrap + name, old.read(name))
        for name, content in wanted.items():
            if content is not None:
                new.writestr(wrap + name, content)
    return target.getvalue()


def test_a_bundle_is_the_same_run_in_another_lab(run, packed, tmp_path):
    brought = import_bundle(packed, tmp_path, owner="Ann", name="ann.zip")
    assert list_runs(tmp_path) == [brought]
    assert (brought.status().state, brought.status().reason) == ("completed", "Imported from ann.zip.")
    assert (brought.owner, brought.config()) == ("Ann", run.config())
    assert EventReader(brought).read() == EventReader(run).read()
    one, other = (load_checkpoint(each.checkpoint()) for each in (run, brought))
    assert one.card == other.card
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(other.model.state_dict()[name], tensor)
    assert bundle(brought) is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == [brought.id]


def test_folders_and_repacked_archives_are_read_too(run, packed, tmp_path):
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path / "unpacked")
    (tmp_path / "again.zip").write_bytes(changed(packed, wrap="unpacked/"))
    runs = tmp_path / "runs"
    for source in (tmp_path / "unpacked", tmp_path / "again.zip"):
        assert EventReader(import_bundle(source, runs)).read() == EventReader(run).read()
    alone = import_bundle(run.checkpoint(), runs)
    assert (alone.status().state, alone.config()) == ("completed", run.config().replace(preparation="drawing"))
    assert len(list_runs(runs)) == 3


def bomb() -> bytes:
    return b"0" * 2_000_000


CARD = "card__json"
BAD = {
    "no zip": (lambda packed: b"PK and no more", "no whole .zip"),
    "cut short": (lambda packed: packed[: len(packed) // 2], "no whole .zip"),
    "no weights": (lambda packed: changed(packed, model__safetensors=None), "it has no model.safetensors"),
    "no card": (lambda packed: changed(packed, card__json=None), "nor a checkpoint"),
    "other weights": (
        lambda packed: changed(packed, model__safetensors=save({"a": torch.zeros(2)})),
        "SHA-256 differs",
    ),
    "a pickle": (lambda packed: changed(packed, model__safetensors=b"\x80\x04cos\nsystem\n."), "SHA-256 differs"),
    "no JSON card": (lambda packed: changed(packed, card__json=b"{"), "is damaged"),
    "no JSON config": (
        lambda packed: changed(packed, config__json=b"[" * 100_000),
        "config.json in a bundle is damaged",
    ),
    "bad config": (lambda packed: changed(packed, config__json=b'{"epochs": 0}'), "epochs should be"),
    "huge card": (lambda packed: changed(packed, card__json=bomb()), "over 1 MB"),
    "huge config": (lambda packed: changed(packed, config__json=bomb()), "config.json in a bundle is damaged"),
    "no events": (lambda packed: changed(packed, metrics__csv=b"event,step\nstep,two\n"), "row 2 is no event"),
    "no text": (lambda packed: changed(packed, metrics__csv=b"event\n\xff\xfe\n"), "no CSV in UTF-8"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_bundle_is_a_sentence_and_leaves_nothing(what, packed, tmp_path):
    make, said = BAD[what]
    with pytest.raises(LabError) as refused:
        import_bundle(make(packed), tmp_path)
    assert isinstance(refused.value, RunError | CheckpointError)
    assert said in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A run that kept its weights on the way."""
    config = get_recipe("quick").config("digits").replace(epochs=1, snapshots=True)
    run = create_run(config, tmp_path_factory.mktemp("kept"))
    execute(run)
    return run


def test_snapshots_travel_with_the_run(kept, tmp_path):
    expected = {path.name: path.read_bytes() for path in snapshots(kept).values()}
    assert len(expected) > 4
    for number, source in enumerate((bundle(kept), changed(bundle(kept), wrap="again/"))):
        brought = import_bundle(source, tmp_path / str(number))
        assert {path.name: path.read_bytes() for path in snapshots(brought).values()} == expected


@pytest.mark.parametrize("content", [b"", b"torn", "another step"])
def test_a_damaged_snapshot_is_a_sentence(kept, tmp_path, content):
    found = bundle(kept)
    if isinstance(content, str):
        content = snapshot_path(kept, 2).read_bytes()
    source = changed(found, **{"snapshots/step-00000001__safetensors": content})
    with pytest.raises((RunError, CheckpointError)):
        import_bundle(source, tmp_path)
    assert list_runs(tmp_path) == []


def test_all_snapshots_together_are_limited(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SNAPSHOTS_LIMIT", 150_000)  # two of them have more
    with pytest.raises(RunError, match="no bundle of this lab"):
        import_bundle(bundle(kept), tmp_path)


def test_names_that_lead_elsewhere_are_never_followed(packed, tmp_path):
    runs = tmp_path / "runs"
    evil = changed(packed, **{"../../evil__txt": b"x", "/etc/card__json": b"{}", "a/b/c/config__json": b"x"})
    brought = import_bundle(evil, runs)
    assert brought.config().seed == 5
    assert {path.name for path in tmp_path.rglob("*")} & {"evil.txt"} == set()
    twice = io.BytesIO(packed)
    with zipfile.ZipFile(twice, "a") as archive:
        archive.writestr("other/card.json", b"{}")
    with pytest.raises(RunError, match="several files"):
        import_bundle(twice.getvalue(), runs)
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(module.MOST_ENTRIES + 1):
            archive.writestr(str(number), b"")
    with pytest.raises(RunError, match="no bundle of a run"):
        import_bundle(many.getvalue(), runs)
    assert len(list_runs(runs)) == 1


def test_limits_hold_for_what_comes_out_of_the_archive(packed, tmp_path, monkeypatch):
    monkeypatch.setitem(module.LIMITS, "metrics.csv", 100)
    with pytest.raises(RunError, match=r"metrics\.csv in a bundle has over"):
        import_bundle(packed, tmp_path)
    monkeypatch.setitem(module.LIMITS, "model.safetensors", 1000)
    with pytest.raises(RunError, match=r"model\.safetensors in a bundle has over"):
        import_bundle(packed, tmp_path)
    with pytest.raises(ConfigError):
        import_bundle(packed, tmp_path, owner="<b>")
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_imports_and_says_where(ask, packed, tmp_path):
    (tmp_path / "a.zip").write_bytes(packed)
    status, out, _ = ask("import", str(tmp_path / "a.zip"), "--runs-dir", str(tmp_path / "runs"), "--json")
    assert status == 0
    result = strict_json(out)
    assert json.loads((Path(result["checkpoint"]) / "card.json").read_text())["epoch"] == 2
    assert ask("evaluate", result["checkpoint"])[0] == 0
    status, _, err = ask("import", str(tmp_path / "none.zip"), "--runs-dir", str(tmp_path / "runs"))
    assert status == 2
    assert "There is no bundle at" in err
    shutil.rmtree(tmp_path / "runs")
