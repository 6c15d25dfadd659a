import json
import re

import numpy as np
import pytest

from mnist_core.data import stroke_files as module
from mnist_core.data.loading import load_dataset
from mnist_core.drawing.preprocess import to_model_input
from mnist_core.drawing.strokes import render_strokes
from mnist_core.errors import DataError
from tests.helpers.files import ONE, sheet, write_sheet


def refusal(path, value) -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(write_sheet(path, value))
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_strokes_become_what_the_drawing_page_makes_of_them(tmp_path, name):
    value = sheet()
    data = load_dataset(write_sheet(tmp_path / name, value))
    assert data.classes == ("1", "7")
    assert data.train_images.shape == (16, 1, 28, 28)
    assert np.bincount(data.test_labels).tolist() == [2, 2]
    expected = {
        to_model_input(render_strokes(d["strokes"], (100, 100), "up", brush=20, height=0.7)).tobytes()
        for d in value["digits"]
    }
    shown = {image.tobytes() for image in (*data.train_images, *data.test_images)}
    assert shown == expected
    seven = data.train_images[data.train_labels == 1][0, 0]
    inked = (seven > 0).sum(axis=1)[(seven > 0).any(axis=1)]
    assert inked[1] > 2 * inked[-2]  # the bar is above: y counts from below


def test_the_last_fifth_of_writers_judges(tmp_path):
    value = sheet(12)
    for number, digit in enumerate(value["digits"]):
        digit["writer"] = number // 2 % 6 + 8  # 8 … 13: by their names as text, 8 and 9 would be last
    data = load_dataset(write_sheet(tmp_path / "a.json", value))
    assert len(data.test_labels) == 8  # writers 12 and 13, four digits each
    expected = [
        to_model_input(render_strokes(d["strokes"], (100, 100), "up", brush=20, height=0.7))
        for d in value["digits"]
        if d["writer"] >= 12
    ]
    np.testing.assert_array_equal(data.test_images[:, 0], expected)


def test_with_one_writer_one_fifth_is_held_out(tmp_path):
    value = sheet()
    for digit in value["digits"]:
        digit["writer"] = "Ann"
    assert len(load_dataset(write_sheet(tmp_path / "a.json", value)).test_labels) == 4


def test_progress_ends_at_one(tmp_path):
    shares = []
    load_dataset(write_sheet(tmp_path / "a.json", sheet(40)), progress=shares.append)
    assert len(shares) > 1
    assert shares[-1] == 1


GOOD = sheet()["digits"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"", "not in the format"),
        (b"[" * 100_000, "not in the format"),
        (b'{"box": [1, 1]', "not in the format"),
        ([], "not in the format"),
        ({}, "box: Field required"),
        (sheet(box=[0, 1]), "box.0"),
        (sheet(box=[1]), "box"),
        (sheet(y_axis="left"), "y_axis"),
        (sheet(digits=[]), "digits"),
        (sheet(digits=[*GOOD, {"label": 7}]), "digits.20.strokes"),
        (sheet(digits=[*GOOD, {"label": True, "strokes": ONE}]), "digits.20.label"),
        (sheet(digits=[*GOOD, {"label": 7, "strokes": [[["1", 2]]]}]), "digits.20.strokes.0.0"),
        (sheet(digits=[*GOOD, {"label": 7, "strokes": [[[1e9, 2]]]}]), "digits.20.strokes.0.0"),
        (json.dumps(sheet()).replace("50", "NaN").encode(), "digits.0.strokes.0.0"),
        (sheet(digits=[{**GOOD[0], "writer": 1}, *GOOD]), "names the writer of some"),
        (sheet(digits=[*GOOD, {"label": 7, "strokes": [[[1]]]}]), "digits.20.strokes.0.0"),
        (sheet(digits=[{"label": 7, "strokes": [[]]}]), "no visible stroke in any of its 1"),
        (b'{"word": "a", "drawing": [[[1, 2], [1]]]}', "line 1"),
        (b'{"word": "a", "drawing": [[[1], [1]]]}\n{"word": "b", "drawing": [7]}', "line 2: drawing.0"),
        (sheet(digits=GOOD[::2]), "only the class '1'"),
        (sheet(4), "'1' has 4 images"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(tmp_path, value, said):
    assert re.search(said, refusal(tmp_path / "a.json", value))


def test_a_class_of_test_writers_only_is_refused(tmp_path):
    value = sheet()
    for digit in value["digits"]:
        digit["writer"] = digit["label"]
    assert "'7' has no training image" in refusal(tmp_path / "a.json", value)


def test_a_damaged_gzip_and_a_gzip_bomb_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.json.gz"
    write_sheet(path, sheet())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="damaged gzip"):
        load_dataset(f"drawings:{path}")
    monkeypatch.setattr(module, "MAX_BYTES", 10_000)
    assert "the limit" in refusal(path, b" " * 10_001)


def test_a_folder_is_no_drawing(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset(f"drawings:{tmp_path}")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_a_byte_order_mark_and_utf_16_are_read(tmp_path, encoding):
    text = ("\ufeff" if encoding == "utf-16-be" else "") + json.dumps(sheet())
    assert len(load_dataset(write_sheet(tmp_path / "a.json", text.encode(encoding))).train_labels) == 16


def test_times_and_pressure_of_points_are_ignored(tmp_path):
    plain = load_dataset(write_sheet(tmp_path / "a.json", sheet()))
    timed = sheet()
    for digit in timed["digits"]:
        digit["strokes"] = [[[x, y, 1.7e12 + n, 0.5] for n, (x, y) in enumerate(s)] for s in digit["strokes"]]
    data = load_dataset(write_sheet(tmp_path / "b.json", timed))
    np.testing.assert_array_equal(data.train_images, plain.train_images)


def test_quick_draws_lines_are_read(tmp_path):
    value = sheet(y_axis="down")
    lines = [
        {
            "word": f"w{d['label']}",
            "recognized": True,
            "drawing": [[*zip(*s, strict=True), [*range(len(s))]] for s in d["strokes"]],
        }
        for d in value["digits"]
    ]
    content = "\n".join(map(json.dumps, lines)).encode()
    data = load_dataset(write_sheet(tmp_path / "a.ndjson", content + b"\n"))
    assert data.classes == ("w1", "w7")
    own = load_dataset(write_sheet(tmp_path / "a.json", value))
    np.testing.assert_array_equal(data.train_images, own.train_images)


def test_empty_strokes_and_digits_are_left_out_and_counted(tmp_path):
    value = sheet()
    plain = load_dataset(write_sheet(tmp_path / "a.json", value))
    value["digits"][0]["strokes"].append([])
    value["digits"] += [{"label": 7, "strokes": []}, {"label": 1, "strokes": [[]]}]
    data = load_dataset(write_sheet(tmp_path / "b.json", value))
    assert "2 digits without a stroke and 2 empty strokes in b.json were left out" in data.warning
    np.testing.assert_array_equal(data.train_images, plain.train_images)
