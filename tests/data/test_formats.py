"""The same small pictures in every format, written as its makers would, come back as they were."""

import contextlib
import gzip
import io
import json
import re
import struct

import numpy as np
import pytest
from PIL import Image

from mnist_core.data import arrays, csv_source
from mnist_core.data.csv_table import read_unlabelled
from mnist_core.data.inputs import inputs
from mnist_core.data.loading import load_dataset
from mnist_core.errors import DataError
from tests.helpers.files import encoded, write_folder, write_zip

RNG = np.random.default_rng(0)
TRAIN, TEST = RNG.integers(0, 256, (40, 7, 7), np.uint8), RNG.integers(0, 256, (12, 7, 7), np.uint8)
TRAIN[:, 0, 0] = TEST[:, 0, 0] = 0  # a corner of a digit is empty
TRAIN[0, 0, 0] = 3
TRAIN_LABELS, TEST_LABELS = np.arange(40) % 4, np.arange(12) % 4


def idx(values) -> bytes:
    return (
        bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}i", *values.shape) + values.astype("u1").tobytes()
    )


def idx_files(dotted=False, packed=False) -> dict[str, bytes]:
    files = {}
    for part, images, labels in (("train", TRAIN, TRAIN_LABELS), ("t10k", TEST, TEST_LABELS)):
        for name, values in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            content = gzip.compress(idx(values)) if packed else idx(values)
            files[(name.replace("-idx", ".idx") if dotted else name) + (".gz" if packed else "")] = content
    return files


def table(images, labels=None, first=True, header=False, scale=1.0, mark=",") -> bytes:
    rows = []
    if header:
        names = [f"pixel{n}" for n in range(images[0].size)]
        rows.append([] if labels is None else ["label"])
        rows[0] = rows[0] + names if first else names + rows[0]
    for number, image in enumerate(images):
        pixels = [f"{value * scale:.6g}" for value in image.ravel()]
        label = [] if labels is None else [str(labels[number])]
        rows.append(label + pixels if first else pixels + label)
    return "\n".join(mark.join(row) for row in rows).encode()


def npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def parquet(images, labels, struct_of_bytes=True, names=None) -> bytes:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pictures = [encoded(image) for image in images]
    column = [{"bytes": picture, "path": None} for picture in pictures] if struct_of_bytes else pictures
    data = pa.table({"image": column, "label": pa.array(labels, pa.int64())})
    if names:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        data = data.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    file = io.BytesIO()
    pq.write_table(data, file)
    return file.getvalue()


def columns(**values) -> bytes:
    """A Parquet file of plain columns."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    file = io.BytesIO()
    pq.write_table(pa.table(values), file)
    return file.getvalue()


def one_hot(first=True, header=False, labels=TRAIN_LABELS) -> bytes:
    hot = np.eye(4, dtype=int)[labels]
    flat = TRAIN.reshape(40, 49)
    rows = [",".join(map(str, row)) for row in np.hstack([hot, flat] if first else [flat, hot]).tolist()]
    names = [f"is_{n}" for n in range(4)] + [f"pixel{n}" for n in range(49)]
    return "\n".join([",".join(names), *rows] if header else rows).encode()


def refusal(name) -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(name)
    said = str(caught.value)
    assert "\n" not in said
    return said


KERAS = {"x_train": TRAIN, "y_train": TRAIN_LABELS, "x_test": TEST, "y_test": TEST_LABELS}
IN_PARTS = {
    "idx": ("idx", lambda: idx_files()),
    "idx in MNIST/raw": ("idx", lambda: {f"MNIST/raw/{name}": content for name, content in idx_files().items()}),
    "idx as 7-Zip names it": ("idx", lambda: idx_files(dotted=True)),
    "idx gzipped": ("idx", lambda: idx_files(packed=True)),
    "csv": ("csv", lambda: {"mnist_train.csv": table(TRAIN, TRAIN_LABELS), "mnist_test.csv": table(TEST, TEST_LABELS)}),
    "parquet": (
        "parquet",
        lambda: {
            "train-00000-of-00001.parquet": parquet(TRAIN, TRAIN_LABELS),
            "test-00000-of-00001.parquet": parquet(TEST, TEST_LABELS, struct_of_bytes=False),
        },
    ),
    "npz": ("npz", lambda: {"mnist.npz": npz(**KERAS)}),
}


@pytest.mark.parametrize(("kind", "files"), IN_PARTS.values(), ids=IN_PARTS)
def test_train_and_test_parts_come_back_as_they_were(tmp_path, kind, files):
    path = write_folder(tmp_path / "set", files())
    data = load_dataset(f"{kind}:{path / 'mnist.npz' if kind == 'npz' else path}")
    assert data.classes == ("0", "1", "2", "3")
    np.testing.assert_array_equal(data.train_images[:, 0], TRAIN)
    np.testing.assert_array_equal(data.test_images[:, 0], TEST)
    assert data.train_labels.tolist() == TRAIN_LABELS.tolist()
    assert data.test_labels.tolist() == TEST_LABELS.tolist()
    assert data.warning == ""


def pooled(data):
    """All images in the order of their labels and pixels, as a part was drawn from them."""
    images = np.concatenate([data.train_images, data.test_images])[:, 0]
    labels = np.concatenate([data.train_labels, data.test_labels])
    return sorted((int(label), image.tobytes()) for label, image in zip(labels, images, strict=True))


EXPECTED = sorted((int(label), image.tobytes()) for label, image in zip(TRAIN_LABELS, TRAIN, strict=True))
ONE_FILE = {
    "label first": ("csv", "a.csv", lambda: table(TRAIN, TRAIN_LABELS)),
    "label last": ("csv", "a.csv", lambda: table(TRAIN, TRAIN_LABELS, first=False)),
    "label named first": ("csv", "a.csv", lambda: table(TRAIN, TRAIN_LABELS, header=True)),
    "label named last": ("csv", "a.csv", lambda: table(TRAIN, TRAIN_LABELS, first=False, header=True)),
    "pixels in 0 to 1": ("csv", "a.csv", lambda: table(TRAIN, TRAIN_LABELS, scale=1 / 255)),
    "pixels in 0 to 1, label last": ("csv", "a.csv", lambda: table(TRAIN, TRAIN_LABELS, first=False, scale=1 / 255)),
    "semicolons": ("csv", "a.csv", lambda: table(TRAIN, TRAIN_LABELS, mark=";")),
    "byte order mark": ("csv", "a.csv", lambda: b"\xef\xbb\xbf" + table(TRAIN, TRAIN_LABELS, header=True)),
    "utf-16": ("csv", "a.csv", lambda: table(TRAIN, TRAIN_LABELS).decode().encode("utf-16")),
    "gzipped": ("csv", "a.csv.gz", lambda: gzip.compress(table(TRAIN, TRAIN_LABELS))),
    "float labels": ("csv", "a.csv", lambda: table(TRAIN, TRAIN_LABELS.astype(float), header=True)),
    "npz of floats": ("npz", "a.npz", lambda: npz(images=TRAIN / 255, labels=TRAIN_LABELS)),
    "npz flat and one-hot": ("npz", "a.npz", lambda: npz(x=TRAIN.reshape(40, 49), y=np.eye(4)[TRAIN_LABELS])),
    "npz with a channel": ("npz", "a.npz", lambda: npz(train_images=TRAIN[..., None], train_labels=TRAIN_LABELS)),
    "one-hot labels last": ("csv", "a.csv", lambda: one_hot(first=False)),
    "one-hot labels first, named": ("csv", "a.csv", lambda: one_hot(header=True)),
    "one-hot labels, blanks between": ("csv", "a.csv", lambda: one_hot(first=False).replace(b",", b" ") + b" \n"),
    "parquet": ("parquet", "a.parquet", lambda: parquet(TRAIN, TRAIN_LABELS)),
    "parquet of nested lists": ("parquet", "a.parquet", lambda: columns(image=TRAIN.tolist(), label=TRAIN_LABELS)),
    "parquet of flat lists": (
        "parquet",
        "a.parquet",
        lambda: columns(label=TRAIN_LABELS, image=(TRAIN.reshape(40, 49) / 255).tolist()),
    ),
    "parquet of pixel columns": (
        "parquet",
        "a.parquet",
        lambda: columns(**{f"pixel{n}": TRAIN.reshape(40, 49)[:, n] for n in range(49)}, **{"class": TRAIN_LABELS}),
    ),
}


@pytest.mark.parametrize(("kind", "name", "content"), ONE_FILE.values(), ids=ONE_FILE)
def test_one_file_is_read_and_one_fifth_held_out(tmp_path, kind, name, content):
    (tmp_path / name).write_bytes(content())
    data = load_dataset(f"{kind}:{tmp_path / name}")
    assert data.classes == ("0", "1", "2", "3")
    assert np.bincount(data.test_labels).tolist() == [2] * 4
    assert pooled(data) == EXPECTED


def test_a_csv_in_a_zip_is_read(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"set/train.csv": table(TRAIN, TRAIN_LABELS), "__MACOSX/._train.csv": b"\0"})
    assert pooled(load_dataset(f"csv:{path}")) == EXPECTED


def test_sorted_rows_with_the_label_last_are_read(tmp_path):
    order = np.argsort(TRAIN_LABELS, kind="stable")
    (tmp_path / "a.csv").write_bytes(table(TRAIN[order], TRAIN_LABELS[order], first=False))
    assert pooled(load_dataset(f"csv:{tmp_path / 'a.csv'}")) == EXPECTED


def test_columns_may_say_that_images_are_no_squares(tmp_path):
    wide = TRAIN[:, :, :5]
    header = ",".join(["label", *(f"{row}x{column}" for row in range(1, 8) for column in range(1, 6))]).encode()
    (tmp_path / "a.csv").write_bytes(header + b"\n" + table(wide, TRAIN_LABELS))
    assert load_dataset(f"csv:{tmp_path / 'a.csv'}").train_images.shape[1:] == (1, 7, 5)


def test_labels_may_be_names_in_csv_and_parquet(tmp_path):
    names = [["cat", "dog", "owl", "pig"][label] for label in TRAIN_LABELS]
    (tmp_path / "a.csv").write_bytes(table(TRAIN, names, header=True))
    (tmp_path / "a.parquet").write_bytes(parquet(TRAIN, TRAIN_LABELS, names=["cat", "dog", "owl", "pig"]))
    for kind in ("csv", "parquet"):
        data = load_dataset(f"{kind}:{tmp_path / 'a'}.{kind}")
        assert data.classes == ("cat", "dog", "owl", "pig")
        assert pooled(data) == EXPECTED


def test_an_unlabelled_csv_is_for_predict_only(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(table(TRAIN, header=True))
    assert "predict" in refusal(f"csv:{path}")
    np.testing.assert_array_equal(read_unlabelled(path)[:, 0], TRAIN)
    path.write_bytes(table(TRAIN, TRAIN_LABELS, first=False))
    np.testing.assert_array_equal(read_unlabelled(str(path))[:, 0], TRAIN)


def colours(by_pixel: bool, label: bool = True) -> tuple[np.ndarray, bytes]:
    """Smooth colour pictures (N, 3, 8, 8), and the CSV of them."""
    coarse = RNG.integers(0, 256, (40, 3, 2, 2))
    images = np.stack([[np.array(Image.fromarray(c.astype("u1")).resize((8, 8))) for c in i] for i in coarse])
    flat = (images.transpose(0, 2, 3, 1) if by_pixel else images).reshape(40, -1)
    return images, table(flat, TRAIN_LABELS if label else None)


@pytest.mark.parametrize("by_pixel", [False, True])
def test_a_csv_of_colour_is_read_and_its_order_said(tmp_path, by_pixel):
    images, content = colours(by_pixel)
    (tmp_path / "a.csv").write_bytes(content)
    data = load_dataset(f"csv:{tmp_path / 'a.csv'}")
    assert ("of each pixel together" if by_pixel else "all red first") in data.warning
    assert "192 pixel columns are read as colour" in data.warning
    found = {image.tobytes() for image in np.concatenate([data.train_images, data.test_images])}
    assert found == {image.tobytes() for image in images}
    (tmp_path / "a.csv").write_bytes(colours(by_pixel, label=False)[1])
    (first, *_) = inputs([str(tmp_path / "a.csv")])
    assert first.read().shape == (8, 8, 3)


def test_columns_that_are_not_one_hot_throughout_are_named(tmp_path):
    content = one_hot(first=False).split(b"\n")
    content[7] = content[7][:-7] + b"1,1,1,0"
    (tmp_path / "a.csv").write_bytes(b"\n".join(content))
    said = refusal(f"csv:{tmp_path / 'a.csv'}")
    assert "4 are no one-hot labels in row 8" in said
    assert "one column called label" in said


def test_lists_of_different_lengths_are_a_sentence(tmp_path):
    ragged = [[1, 2, 3, 4]] * 39 + [[1, 2, 3]]
    (tmp_path / "a.parquet").write_bytes(columns(image=ragged, label=TRAIN_LABELS))
    assert "different sizes, 3 and 4" in refusal(f"parquet:{tmp_path / 'a.parquet'}")
    (tmp_path / "a.parquet").write_bytes(columns(image=[[[1, 2], [3]]] * 40, label=TRAIN_LABELS))
    assert "differ in length" in refusal(f"parquet:{tmp_path / 'a.parquet'}")


def test_other_csv_files_beside_train_and_test_are_said(tmp_path):
    files = {"train.csv": table(TRAIN, TRAIN_LABELS), "test.csv": table(TEST, TEST_LABELS), "more.csv": b"1,2"}
    assert "more.csv is left out" in load_dataset(f"csv:{write_folder(tmp_path / 'a', files)}").warning
    packed = write_zip(tmp_path / "a.zip", {**files, "notes.txt": b"read me"})
    assert "more.csv, notes.txt are left out" in load_dataset(f"csv:{packed}").warning


def test_an_unlabelled_test_file_is_left_out_and_said(tmp_path):
    files = {"train.csv": table(TRAIN, TRAIN_LABELS, header=True), "test.csv": table(TEST, header=True)}
    data = load_dataset(f"csv:{write_folder(tmp_path, files | {'sample_submission.csv': b'ImageId,Label'})}")
    assert "test.csv has no labels" in data.warning
    assert len(data.test_labels) == 8


DAMAGED = [
    ("a.csv", b"", "empty"),
    ("a.csv", b"label,pixel0\n", "no square"),
    ("a.csv", table(TRAIN, TRAIN_LABELS, header=True).split(b"\n")[0], "no rows"),
    ("a.csv", table(TRAIN, TRAIN_LABELS) + b"\n1,2,3", "row 41, which has 3 columns"),
    ("a.csv", table(TRAIN, TRAIN_LABELS).replace(b",7", b",x", 1), "row [12], which has 'x"),
    ("a.csv", table(TRAIN, TRAIN_LABELS).replace(b",9", b",-9", 1), "pixels from -"),
    ("a.csv", table(TRAIN, TRAIN_LABELS).replace(b",0,", b",nan,", 1), "pixels from nan"),
    ("a.csv", table(TRAIN, RNG.normal(size=40)), "neither the first nor the last"),
    ("a.csv", table(TRAIN * 0, TRAIN_LABELS), "every pixel 0"),
    ("a.csv", b"\x89PNG\r\n\x1a\n\0\0\0" * 9, "no CSV|no text"),
    ("a.csv", gzip.compress(table(TRAIN, TRAIN_LABELS))[:-200], "damaged"),
    ("a.npz", b"PK\3\4 and no more", "no whole .npz"),
    ("a.npz", npz(**KERAS)[:-100], "no whole .npz"),
    ("a.npz", npz(**{"a\nb": TRAIN}), "known name .a.b"),
    ("a.npz", npz(pixels=TRAIN), "no arrays of a known name .pixels"),
    ("a.npz", npz(images=TRAIN, labels=TRAIN_LABELS[:-1]), "40 images and 39 labels"),
    ("a.npz", npz(images=TRAIN, labels=np.array([{}] * 40)), "Python objects"),
    ("a.npz", npz(images=TRAIN * -1.0, labels=TRAIN_LABELS), "0 to 255"),
    ("a.npz", npz(images=np.zeros((40, 65, 65)), labels=TRAIN_LABELS), "64 px"),
    ("a.npz", npz(images=TRAIN * 0 + 9, labels=TRAIN_LABELS), "the same picture"),
    ("a.npz", npz(images=TRAIN, labels=TRAIN_LABELS + 0.5), "no whole numbers"),
    ("a.npz", npz(images=TRAIN, labels=np.arange(40)), "'0' has 1 image"),
    ("a.parquet", b"PAR1 and no more PAR1", "cannot be read"),
    ("a.parquet", b"", "cannot be read"),
]


@pytest.mark.parametrize(("name", "content", "said"), DAMAGED)
def test_a_damaged_file_is_a_sentence(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert re.search(said, refusal(f"{name[2:]}:{tmp_path / name}"))


def test_any_file_cut_or_changed_is_read_or_refused(tmp_path):
    contents = {"a.csv": table(TRAIN, TRAIN_LABELS), "a.npz": npz(**KERAS), "a.parquet": parquet(TRAIN, TRAIN_LABELS)}
    rng = np.random.default_rng(1)
    for name, content in contents.items():
        for _ in range(60):
            changed = bytearray(content)
            for place in rng.integers(0, len(content), 3):
                changed[place] = rng.integers(0, 256)
            (tmp_path / name).write_bytes(changed[: rng.integers(1, len(content)) if rng.random() < 0.3 else None])
            with contextlib.suppress(DataError):
                load_dataset(f"{name[2:]}:{tmp_path / name}")


def test_damaged_idx_files_are_named(tmp_path):
    files = idx_files()
    for name, content, said in (
        ("t10k-labels-idx1-ubyte", None, "test labels are missing"),
        ("train-labels-idx1-ubyte", idx(TRAIN_LABELS[:-1]), "40 images"),
        ("train-labels-idx1-ubyte", idx(TRAIN_LABELS + 97), "labels from 97 to 100"),
        ("train-images-idx3-ubyte", idx(TRAIN)[:-1], "damaged"),
        ("train-images-idx3-ubyte", b"\0\0\x08\3" + b"\xff" * 12, "over the limit"),
        ("train-images-idx3-ubyte", gzip.compress(idx(TRAIN))[:-9], "damaged"),
        ("train-images-idx3-ubyte", idx(TRAIN[:, :1] * 0 + TRAIN[0, 0]), "different sizes"),
    ):
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        path = write_folder(root, {key: value for key, value in (files | {name: content}).items() if value is not None})
        assert said in refusal(f"idx:{path}")


def test_a_wrong_prefix_names_the_right_one(tmp_path):
    files = {"a.csv": table(TRAIN, TRAIN_LABELS), "a.npz": npz(**KERAS), "a.parquet": parquet(TRAIN, TRAIN_LABELS)}
    root = write_folder(tmp_path, files | {f"raw/{name}": content for name, content in idx_files().items()})
    for right in ("csv", "npz", "parquet"):
        for wrong in ("folder", "drawings", "csv", "npz", "parquet", "idx"):
            if wrong not in (right, "idx"):
                assert f"use `{right}:{root}/a.{right}`" in refusal(f"{wrong}:{root}/a.{right}")
    assert f"use `idx:{root}/raw`" in refusal(f"folder:{root}/raw")


def test_limits_hold_before_memory_is_taken(tmp_path, monkeypatch):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"1" * 1_000_000))
    assert "too long" in refusal(f"csv:{tmp_path / 'a.csv.gz'}")
    monkeypatch.setattr(csv_source, "MAX_TEXT", 1000)
    (tmp_path / "b.csv").write_bytes(table(TRAIN, TRAIN_LABELS))
    assert "the limit" in refusal(f"csv:{tmp_path / 'b.csv'}")
    assert arrays.MAX_ARRAY_BYTES <= 2**31


def test_a_path_with_no_or_an_unknown_prefix_is_given_its_own(tmp_path):
    (tmp_path / "a.csv").write_bytes(table(TRAIN, TRAIN_LABELS))
    (tmp_path / "set" / "0").mkdir(parents=True)
    (tmp_path / "set" / "0" / "1.png").touch()
    for name, right in (
        (f"{tmp_path}/a.csv", f"csv:{tmp_path}/a.csv"),
        (f"table:{tmp_path}/a.csv", f"csv:{tmp_path}/a.csv"),
        (f"images:{tmp_path}/set", f"folder:{tmp_path}/set"),
    ):
        with pytest.raises(DataError, match=f"use `{right}`"):
            load_dataset(name)
    with pytest.raises(DataError, match="there are: mnist"):
        load_dataset(f"table:{tmp_path}/nothing")
