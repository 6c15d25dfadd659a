import io
import os
import stat
import struct
import tarfile
import zipfile

import pytest

from mnist_core.data import archive as module
from mnist_core.data.archive import open_archive, stamp
from mnist_core.errors import DataError
from tests.helpers.files import write_folder, write_zip

FILES = {"train/cat/1.png": b"one", "train/dog/2.png": b"two", "notes.txt": b"three"}
LEFT_BY_SYSTEMS = {"__MACOSX/train/cat/._1.png": b"x", ".DS_Store": b"x", "train/cat/Thumbs.db": b"x", "more.zip": b"x"}


def contents(path):
    with open_archive(path) as members:
        return {member.name: member.read() for member in members}


def refusal(path) -> str:
    with pytest.raises(DataError) as caught:
        contents(path)
    return str(caught.value)


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_folder_and_its_zip_hold_the_same_files(tmp_path, how):
    files = {**FILES, **LEFT_BY_SYSTEMS}
    assert contents(write_folder(tmp_path / "folder", files)) == FILES
    assert contents(write_zip(tmp_path / "packed.zip", files, how)) == FILES


def test_a_zip_may_have_backslashes_and_folder_entries(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"train\\cat\\1.png": b"one", "./train/cat/": b"", "./train/cat/2.png": b"2"})
    assert contents(path) == {"train/cat/1.png": b"one", "train/cat/2.png": b"2"}


@pytest.mark.parametrize("name", ["../1.png", "a/../../1.png", "/etc/1.png", "C:/1.png", "a\\..\\..\\1.png", "\\1.png"])
def test_a_name_that_leads_out_of_a_zip_is_refused(tmp_path, name):
    assert "leads out of it" in refusal(write_zip(tmp_path / "a.zip", {name: b"x"}))


def test_a_link_in_a_zip_is_refused(tmp_path):
    link = zipfile.ZipInfo("train/cat/1.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
    assert "link" in refusal(tmp_path / "a.zip")


def test_links_in_a_folder_may_lead_within_it_and_not_out_of_it(tmp_path):
    root = write_folder(tmp_path / "folder", FILES)
    (root / "train" / "cat" / "3.png").symlink_to(root / "train" / "dog" / "2.png")
    assert contents(root)["train/cat/3.png"] == b"two"
    (tmp_path / "secret").mkdir()
    (root / "train" / "bird").symlink_to(tmp_path / "secret")
    assert "train/bird" in refusal(root)


def test_a_cycle_of_links_is_refused(tmp_path):
    root = write_folder(tmp_path / "folder", FILES)
    (root / "train" / "again").symlink_to(root / "train")
    assert "too deep" in refusal(root)


def test_an_encrypted_zip_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"cat/1.png": b"x"})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\1\2") + 8] |= 1  # the flags in the central directory: bit 0 is encryption
    path.write_bytes(raw)
    assert "encrypted" in refusal(path)


def test_an_unusual_compression_is_refused(tmp_path):
    assert "unusual" in refusal(write_zip(tmp_path / "a.zip", {"cat/1.png": b"x"}, zipfile.ZIP_BZIP2))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda raw: b"", id="empty"),
        pytest.param(lambda raw: raw[: len(raw) // 2], id="half"),
        pytest.param(lambda raw: b"<html>" * 99, id="a web page"),
    ],
)
def test_what_is_no_whole_zip_is_refused(tmp_path, damage):
    path = write_zip(tmp_path / "a.zip", FILES)
    path.write_bytes(damage(path.read_bytes()))
    assert "neither a folder nor a whole .zip" in refusal(path)


def test_a_damaged_member_is_named(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"cat/1.png": b"A" * 50, "cat/2.png": b"B" * 50}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"B" * 50, b"B" * 49 + b"C"))
    assert "cat/2.png" in refusal(path)


def test_a_member_larger_than_declared_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"cat/1.png": bytes(10_000)})
    raw = path.read_bytes()
    path.write_bytes(raw.replace(struct.pack("<I", 10_000), struct.pack("<I", 10)))
    assert "damaged" in refusal(path)


def test_limits_on_what_is_declared(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "a.zip", {"cat/1.png": bytes(600), "cat/2.png": bytes(600)})
    folder = write_folder(tmp_path / "folder", {"cat/1.png": bytes(600), "cat/2.png": bytes(600)})
    for limit, value, said in (("MAX_FILE_BYTES", 500, "cat/1.png"), ("MAX_TOTAL_BYTES", 1000, "GB unpacked")):
        with monkeypatch.context() as patch:
            patch.setattr(module, limit, value)
            assert said in refusal(path)
            assert "over the limit" in refusal(folder)
    monkeypatch.setattr(module, "MAX_ENTRIES", 1)
    assert "over the limit of 1" in refusal(path)
    assert "more than 1 files" in refusal(folder)


def test_what_cannot_be_read_is_a_sentence(tmp_path):
    assert "cannot be read" in refusal(tmp_path / "nothing")
    with pytest.raises(DataError, match="cannot be read"):
        stamp(tmp_path / "nothing")


def test_a_stamp_changes_with_any_file_of_a_folder(tmp_path):
    root = write_folder(tmp_path / "folder", FILES)
    before = stamp(root)
    assert stamp(root) == before
    path = root / "train" / "cat" / "1.png"
    status = path.stat()
    path.write_bytes(b"onE")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    changed = stamp(root)
    assert changed != before
    (root / "train" / "dog" / "2.png").unlink()
    assert stamp(root) not in (before, changed)
    packed = write_zip(tmp_path / "a.zip", FILES)
    first = stamp(packed)
    write_zip(packed, {**FILES, "x": b"x"})
    assert stamp(packed) != first


def write_tar(path, files, mode="w", **attributes):
    with tarfile.open(path, mode) as file:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in attributes.items():
                setattr(info, key, value)
            file.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize(("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz")])
def test_a_tar_holds_the_same_files(tmp_path, name, mode):
    path = write_tar(tmp_path / name, {f"./{key}": value for key, value in {**FILES, **LEFT_BY_SYSTEMS}.items()}, mode)
    assert contents(path) == FILES


@pytest.mark.parametrize("name", ["../1.png", "/etc/1.png", "a/../../1.png"])
def test_a_name_that_leads_out_of_a_tar_is_refused(tmp_path, name):
    assert "leads out of it" in refusal(write_tar(tmp_path / "a.tar", {name: b"x"}))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    assert "link" in refusal(write_tar(tmp_path / "a.tar", {"cat/1.png": b""}, type=kind, linkname="/etc/passwd"))


def test_a_damaged_tar_is_a_sentence(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", {f"cat/{n}.png": os.urandom(3000) for n in range(9)}, "w:gz")
    raw = path.read_bytes()
    for changed in (raw[:-3000], raw[:5000] + b"\0" * 50 + raw[5050:], b"\x1f\x8b", b"", b"<html>" * 200):
        path.write_bytes(changed)
        assert "damaged .tar" in refusal(path)
    plain = write_tar(tmp_path / "a.tar", {f"cat/{n}.png": os.urandom(3000) for n in range(9)})
    raw = plain.read_bytes()
    for cut in (len(raw) // 2, 600, 3584):
        plain.write_bytes(raw[:cut])
        assert "damaged .tar" in refusal(plain)


def test_limits_of_a_tar_hold(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "a.tar.gz", {"cat/1.png": bytes(600), "cat/2.png": bytes(600)}, "w:gz")
    for limit, value in (("MAX_FILE_BYTES", 500), ("MAX_TAR_BYTES", 1000), ("MAX_ENTRIES", 1)):
        with monkeypatch.context() as patch:
            patch.setattr(module, limit, value)
            assert "limit" in refusal(path)
