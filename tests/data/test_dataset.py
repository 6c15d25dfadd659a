import hashlib
import struct

from mnist_core.data.dataset import Dataset


def test_a_fingerprint_is_of_test_images_and_labels(tiny_data):
    expected = hashlib.sha256(bytes(tiny_data.test_images.flatten().tolist()))
    expected.update(struct.pack(f"<{len(tiny_data.test_labels)}q", *tiny_data.test_labels.tolist()))
    assert tiny_data.fingerprint == expected.hexdigest()
    images = tiny_data.test_images.copy()
    images[0, 0, 0, 0] += 1
    other = Dataset("x", tiny_data.classes, images, tiny_data.train_labels, images, tiny_data.test_labels)
    assert other.fingerprint != tiny_data.fingerprint


def test_the_training_part_has_a_fingerprint_of_its_own(tiny_data):
    expected = hashlib.sha256(bytes(tiny_data.train_images.flatten().tolist()))
    expected.update(struct.pack(f"<{len(tiny_data.train_labels)}q", *tiny_data.train_labels.tolist()))
    assert tiny_data.train_fingerprint == expected.hexdigest() != tiny_data.fingerprint
