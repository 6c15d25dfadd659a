import pickle

import numpy as np
import pytest

from mnist_core.config import Shape
from mnist_core.data import cifar10 as module
from mnist_core.data.loading import load_dataset
from mnist_core.errors import DataError
from tests.helpers.files import batch, pickled

RNG = np.random.default_rng(0)
COUNT = 20


@pytest.fixture
def parts(monkeypatch) -> dict[str, tuple[np.ndarray, list[int]]]:
    """CIFAR-10's files, but of 20 pictures each."""
    monkeypatch.setattr(module, "PER_FILE", COUNT)
    return {
        name: (RNG.integers(0, 256, (COUNT, 3072), dtype=np.uint8), [*RNG.permutation(10).tolist() * 2])
        for name in (*module.TRAIN_FILES, module.TEST_FILE)
    }


def write_cifar(data_dir, parts):
    folder = data_dir / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name, (pixels, labels) in parts.items():
        (folder / name).write_bytes(pickled(batch(pixels, labels)))
    return data_dir


def test_batches_become_arrays_in_their_order(tmp_path, parts):
    data = load_dataset("cifar10", write_cifar(tmp_path, parts))
    assert data.shape == Shape(3, 32, 32, 10)
    assert data.classes[:2] == ("airplane", "automobile")
    np.testing.assert_array_equal(data.test_images.reshape(COUNT, -1), parts["test_batch"][0])
    assert data.test_labels.tolist() == parts["test_batch"][1]
    np.testing.assert_array_equal(data.train_images[COUNT : 2 * COUNT].reshape(COUNT, -1), parts["data_batch_2"][0])
    assert data.train_labels[-COUNT:].tolist() == parts["data_batch_5"][1]


def test_torchvision_reads_the_same(tmp_path, parts, monkeypatch):
    from torchvision.datasets import CIFAR10

    write_cifar(tmp_path, parts)
    (tmp_path / module.FOLDER / "batches.meta").write_bytes(pickled({"label_names": list(module.CLASSES)}))
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    data = load_dataset("cifar10", tmp_path)
    for train, images, labels in (
        (True, data.train_images, data.train_labels),
        (False, data.test_images, data.test_labels),
    ):
        theirs = CIFAR10(tmp_path, train=train)
        np.testing.assert_array_equal(images.transpose(0, 2, 3, 1), theirs.data)
        assert labels.tolist() == theirs.targets
    assert tuple(theirs.classes) == data.classes


def test_missing_files_name_the_folder_and_the_way_out(tmp_path, parts):
    with pytest.raises(DataError, match=r"CIFAR-10 is not in .*download cifar10"):
        load_dataset("cifar10", tmp_path)
    write_cifar(tmp_path, parts)
    (tmp_path / module.FOLDER / "data_batch_3").unlink()
    with pytest.raises(DataError, match="CIFAR-10 is not in"):
        load_dataset("cifar10", tmp_path)


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


GOOD = RNG.integers(0, 256, (COUNT, 3072), dtype=np.uint8)
LABELS = [*range(10), *range(10)]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>Not found</html>", id="a web page"),
        pytest.param(pickled(batch(GOOD, LABELS))[:-100], id="cut short"),
        pytest.param(pickled([]), id="a list"),
        pytest.param(pickled({"labels": LABELS}), id="no data"),
        pytest.param(pickled(batch(GOOD[:-1], LABELS)), id="an image missing"),
        pytest.param(pickled(batch(GOOD, LABELS[:-1])), id="a label missing"),
        pytest.param(pickled(batch(GOOD, [*LABELS[:-1], 10])), id="a label above 9"),
        pytest.param(pickled(batch(GOOD, [*LABELS[:-1], "1"])), id="a label of text"),
        pytest.param(pickled(batch(GOOD.astype(np.int16), LABELS)), id="16 bits"),
        pytest.param(pickled(batch(np.asfortranarray(GOOD), LABELS)), id="in columns"),
        pytest.param(pickled(batch(GOOD.tolist(), LABELS)), id="data in a list"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, parts, content):
    write_cifar(tmp_path, parts)
    (tmp_path / module.FOLDER / "data_batch_4").write_bytes(content)
    with pytest.raises(DataError, match="data_batch_4 is damaged"):
        load_dataset("cifar10", tmp_path)


def test_nothing_in_a_file_is_run(tmp_path, parts):
    write_cifar(tmp_path, parts)
    witness = tmp_path / "witness"
    for evil in (
        Evil(open, str(witness), "w"),
        Evil(eval, f"open({str(witness)!r}, 'w')"),
        Evil(np.save, witness, GOOD),
    ):
        content = pickled({**batch(GOOD, LABELS), "evil": evil}, pickle._Pickler)
        (tmp_path / module.FOLDER / "test_batch").write_bytes(content)
        with pytest.raises(DataError, match="test_batch is damaged"):
            load_dataset("cifar10", tmp_path)
        assert not witness.exists()
    pickle.loads(pickled(Evil(open, str(witness), "w"), pickle._Pickler)).close()
    assert witness.exists()  # the same bytes do run elsewhere


def test_a_file_too_large_is_not_read(tmp_path, parts, monkeypatch):
    write_cifar(tmp_path, parts)
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    with pytest.raises(DataError, match="damaged"):
        load_dataset("cifar10", tmp_path)
