"""A run's owner: what may be a name, and that it never becomes more than that."""

import pytest

from mnist_core.config import TrainConfig
from mnist_core.errors import ConfigError
from mnist_core.runs.run import FILE, create_run, list_runs, parse_owner, read_owner, write_owner
from mnist_core.system.files import read_json
from mnist_core.system.settings import runs_folder


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Ann", "Ann"),
        ("  Ann   Lee ", "Ann Lee"),
        ("Zoë-2", "Zoë-2"),
        ("O'Neil Jr.", "O'Neil Jr."),
        ("李雷", "李雷"),
        ("", ""),
    ],
)
def test_names_of_people_are_names(typed, name):
    assert parse_owner(typed) == name


@pytest.mark.parametrize(
    "typed",
    [
        "<b>x</b>",
        "a/b",
        "..",
        "../x",
        "a\\b",
        "*x*",
        "[a](b)",
        "$x$",
        ":red[x]",
        "a`b",
        "&amp;",
        "a\x00b",
        "-rf",
        "x" * 31,
    ],
)
def test_what_could_be_markup_or_a_path_is_refused(typed):
    with pytest.raises(ConfigError, match="A name has at most 30"):
        parse_owner(typed)


def test_a_run_keeps_its_owner_beside_its_settings():
    config = TrainConfig(recipe="quick", dataset="digits")
    mine, nobodys = create_run(config, owner="Ann Lee"), create_run(config)
    assert mine.owner == "Ann Lee"
    assert nobodys.owner == ""
    assert mine.config() == nobodys.config()
    assert "owner" not in read_json(mine.config_path)
    assert "Ann" not in mine.id


def test_no_run_is_left_behind_by_a_name_that_is_none():
    with pytest.raises(ConfigError):
        create_run(TrainConfig(recipe="quick", dataset="digits"), owner="<script>")
    assert not runs_folder().exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "7", '{"owner": 5}', '{"owner": "<b>"}', '{"owner": null}', "[" * 100_000]
)
def test_a_damaged_owner_is_nobody(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    assert read_owner(tmp_path) == ""
    write_owner(tmp_path, "Bo")
    assert read_owner(tmp_path) == "Bo"


def test_train_takes_an_owner(ask, refused):
    status, _, err = ask("train", "--dataset", "digits", "--epochs", "1", "--owner", "Ann")
    assert status == 0, err
    assert [run.owner for run in list_runs()] == ["Ann"]
    assert "A name has at most" in refused("train", "--dataset", "digits", "--owner", "<b>")
    assert len(list_runs()) == 1
