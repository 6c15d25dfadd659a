"""Labels for people."""

from __future__ import annotations

from ui.labels import trained_words


def test_a_training_of_several_processes_is_said():
    start = {"event": "start", "parameters": 24954, "train_images": 1221, "processes": 2}
    assert trained_words(start, "digits") == "24,954 parameters on 1,221 images of digits by 2 processes"
    assert trained_words({**start, "processes": 1}, "digits") == "24,954 parameters on 1,221 images of digits"
    assert trained_words(None, "digits") == "digits"
