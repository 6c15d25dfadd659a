"""Collections of drawings that people have labelled: what is kept, what is refused, and that nothing is lost."""

import gzip
import json
import threading

import pytest

from mnist_core.data import collection
from mnist_core.data.collection import Collection, counts, next_label
from mnist_core.data.loading import load_dataset
from mnist_core.data.pen_digits import load_taught
from mnist_core.data.stroke_files import read_strokes
from mnist_core.errors import DataError, DrawingError, LabError

SEVEN = [[[160, 140, 0], [400, 140, 210.4], [260, 440.04, 533]]]


@pytest.fixture
def mine(tmp_path) -> Collection:
    return Collection(tmp_path / "drawings", "Ann Lee")


def moved(number: int) -> list:
    return [[[x + number, y, t] for x, y, t in stroke] for stroke in SEVEN]


def filled(one: Collection, labels: str, each: int = 5) -> Collection:
    for number, label in enumerate(labels * each):
        one.add(label, moved(number))
    return one


def test_a_drawing_is_kept_with_its_time_and_writer(mine):
    mine.add("7", SEVEN)
    (kept,) = mine.drawings()
    assert kept.strokes == [[(160, 140, 0), (400, 140, 210), (260, 440, 533)]]
    assert (kept.label, kept.writer, kept.test) == ("7", "Ann Lee", False)
    stored = json.loads(gzip.decompress(mine.path.read_bytes()))
    assert stored["digits"][0]["strokes"] == [[[160, 140, 0], [400, 140, 210], [260, 440, 533]]]


def test_a_collection_is_a_dataset_as_it_lies_there(mine):
    filled(mine, "17", 10)
    data = load_dataset(f"drawings:{mine.path}")
    assert data.classes == ("1", "7")
    assert (len(data.train_labels), len(data.test_labels)) == (16, 4)


def test_every_fifth_of_a_label_is_held_out_for_good(mine):
    filled(mine, "17", 5)
    assert [kept.test for kept in mine.drawings()] == [False] * 8 + [True] * 2
    held = {kept.id for kept in mine.drawings() if kept.test}
    first = mine.drawings()[0].id
    mine.remove(first)
    filled(mine, "17", 5)
    assert held < {kept.id for kept in mine.drawings() if kept.test}
    assert sum(kept.test for kept in mine.drawings()) == 3  # the 1 that was removed is missing to a tenth


def test_drawings_are_removed_one_by_one_and_replaced(mine):
    one, two = mine.add("1", SEVEN), mine.add("2", SEVEN)
    mine.remove(one.id)
    mine.remove("0" * 16)
    assert [kept.id for kept in mine.drawings()] == [two.id]
    three = mine.add("3", SEVEN, instead_of=two.id)
    assert [kept.label for kept in mine.drawings()] == ["3"]
    mine.remove(three.id)
    assert mine.drawings() == []
    assert not mine.path.exists()


def test_names_are_never_paths_and_never_share_a_file(tmp_path):
    folder = tmp_path / "drawings"
    names = [
        "",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "a/b",
        "a b",
        "ann",
        "Ann",
        "Änn",
        "con",
        "é" * 300,
        "\0",
        "零",
    ]
    paths = [Collection(folder, name).path for name in names]
    assert len({str(path).lower() for path in paths}) == len(names)
    for path in paths:
        assert path.parent == folder
        assert path.resolve().parent == folder.resolve()
        assert path.name.isascii()
        assert len(path.name) < 60


@pytest.mark.parametrize(
    "strokes",
    [
        None,
        7,
        "drawing",
        {},
        [],
        [[]],
        [[[1]]],
        [["a"]],
        [[["x", "y"]]],
        [[[float("nan"), 1]]],
        [[[1, 2, float("inf")]]],
        [[[1e9, 2]]],
        [[[0, 0]] * 20_001],
        [[[0, 0]]] * 1001,
    ],
)
def test_what_is_no_drawing_is_refused_and_nothing_is_lost(strokes, mine):
    kept = mine.add("7", SEVEN)
    with pytest.raises(DrawingError):
        mine.add("7", strokes, instead_of=kept.id)
    assert [other.id for other in mine.drawings()] == [kept.id]


def test_a_label_is_a_name_of_a_class(mine):
    for label in ("", "x" * 61):
        with pytest.raises(DrawingError):
            mine.add(label, SEVEN)


@pytest.mark.parametrize("content", [b"", b"{", b"\x1f\x8bdamaged", b'{"box": [1, 1], "y_axis": "down"}', b"\xff" * 9])
def test_a_damaged_file_is_a_sentence_and_stays(content, mine):
    mine.add("7", SEVEN)
    mine.path.write_bytes(content)
    for change in (mine.drawings, lambda: mine.add("7", SEVEN), lambda: mine.remove("0")):
        with pytest.raises(DataError, match=r"json\.gz"):
            change()
    assert mine.path.read_bytes() == content


def test_an_export_is_imported_elsewhere_once_with_its_marks(mine, tmp_path):
    filled(mine, "17")
    other = Collection(tmp_path / "other", "Bo")
    assert other.take(mine.export(), "mine.json.gz") == (10, 0)
    assert other.take(mine.export(), "mine.json.gz") == (0, 10)
    was, now = mine.drawings(), other.drawings()
    assert [kept.test for kept in now] == [kept.test for kept in was]
    assert [kept.strokes for kept in now] == [kept.strokes for kept in was]
    assert {kept.writer for kept in now} == {"Bo"}
    assert not {kept.id for kept in now} & {kept.id for kept in was}


def test_other_boxes_and_axes_are_brought_into_ours(mine):
    file = {"box": [100, 50], "y_axis": "up", "digits": [{"label": 7, "strokes": [[[0, 50, 5], [100, 0, 9, 0.5]], []]}]}
    assert mine.take(json.dumps(file).encode(), "other.json") == (1, 0)
    assert mine.drawings()[0].strokes == [[(0, 0, 5), (560, 280, 9)]]


def test_drawings_of_quick_draw_are_imported(mine):
    assert mine.take(b'{"word": "7", "drawing": [[[0, 100], [0, 200]]]}\n', "full.ndjson") == (1, 0)
    assert counts(mine.drawings()) == {"7": 1}


@pytest.mark.parametrize(
    "content", [b"", b"no json", b"{}", gzip.compress(b"[]", mtime=0), b'{"box": [1, 1], "y_axis": "up", "digits": []}']
)
def test_a_bad_import_is_a_sentence_with_the_name(content, mine):
    mine.add("7", SEVEN)
    with pytest.raises(DataError, match=r"their\.json"):
        mine.take(content, "their.json")
    assert len(mine.drawings()) == 1


def test_an_import_over_the_limit_adds_nothing(mine, monkeypatch):
    monkeypatch.setattr(collection, "MAX_DRAWINGS", 12)
    filled(mine, "17")
    with pytest.raises(DataError, match="12 drawings, the limit"):
        mine.take(filled(Collection(mine.folder, "Bo"), "23").export(), "b.json.gz")
    assert len(mine.drawings()) == 10


def test_two_who_add_at_once_lose_nothing(mine):
    problems: list[LabError] = []

    def add(label: str) -> None:
        try:
            for _ in range(10):
                mine.add(label, SEVEN)
        except LabError as error:
            problems.append(error)

    threads = [threading.Thread(target=add, args=(label,)) for label in "1234"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert counts(mine.drawings()) == dict.fromkeys("1234", 10)


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "drawings").write_text("a file")
    with pytest.raises(DataError, match="as they were"):
        Collection(tmp_path / "drawings").add("7", SEVEN)


def test_each_digit_is_asked_for_five_times_in_mixed_order():
    have, asked = counts([]), ""
    for drawn in range(50):
        asked += next_label("0123456789", have, 5, drawn)
        have[asked[-1]] += 1
        assert max(have.values()) - min(have[name] for name in "0123456789") <= 1
    assert have == dict.fromkeys("0123456789", 5)
    assert len({asked[start : start + 10] for start in range(0, 50, 10)}) == 5


# ---- as what is taught ---------------------------------------------------------------------------------------------


def test_a_teaching_leaves_held_out_drawings_alone(mine):
    filled(mine, "17")
    mine.add("4", SEVEN)
    taught = load_taught(mine.path, 3, 0)
    assert taught.images.shape == (27, 1, 28, 28)
    assert sorted(taught.labels) == [0] * 12 + [1] * 3 + [2] * 12
    assert taught.classes == ("1", "4", "7")
    assert list(taught.test_labels) == [0, 2]
    assert (taught.drawings, taught.writers) == (9, ("Ann Lee",))
    plain = load_taught(mine.path, 0, 0)
    assert len(plain.images) == 9
    assert (plain.test_images == taught.test_images).all()


def test_a_teaching_of_tests_alone_is_refused(mine, tmp_path):
    filled(mine, "7")
    file = read_strokes(mine.path)
    file.digits = [digit for digit in file.digits if digit.test]
    path = tmp_path / "tests.json"
    path.write_text(file.model_dump_json())
    with pytest.raises(DataError, match="none to learn from"):
        load_taught(path, 1, 0)
