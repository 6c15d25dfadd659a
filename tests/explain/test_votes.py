import threading

import pytest

from mnist_core.errors import DataError
from mnist_core.explain.votes import Votes


def test_votes_are_counted_by_image(tmp_path):
    votes = Votes(tmp_path / "runs")
    assert votes.count("abc", 7) == {}
    for said in ("4", "9", "9"):
        votes.add("abc", 7, said)
    votes.add("abc", 8, "1")
    votes.add("other", 7, "2")
    assert votes.count("abc", 7) == {"9": 2, "4": 1}


def test_a_name_has_one_vote_and_may_change_it(tmp_path):
    votes = Votes(tmp_path)
    votes.add("abc", 7, "4", "Ada")
    votes.add("abc", 7, "9", "Ada")
    votes.add("abc", 7, "9", "Bob")
    assert votes.count("abc", 7) == {"9": 2}


def test_torn_and_foreign_lines_lose_no_other_vote(tmp_path):
    votes = Votes(tmp_path)
    votes.add("abc", 7, "4")
    with votes.path.open("ab") as file:
        file.write(b'[1]\n{"images": "abc", "row": 7, "said": 5}\n\xff\n{"images": "abc", "ro')
    votes.add("abc", 7, "9")
    assert votes.count("abc", 7) == {"4": 1, "9": 1}


def test_many_at_once_lose_no_vote(tmp_path):
    def vote() -> None:
        for _ in range(20):
            Votes(tmp_path).add("abc", 1, "3")

    threads = [threading.Thread(target=vote) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Votes(tmp_path).count("abc", 1) == {"3": 80}


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="The vote is not kept"):
        Votes(tmp_path / "file" / "runs").add("abc", 1, "3")
