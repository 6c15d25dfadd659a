import numpy as np
import pytest
import torch

from mnist_core.config import Shape, TrainConfig
from mnist_core.data.classes import ClassesError, match_classes, number_of, parse_mapping, relabel, suggest
from mnist_core.data.dataset import DIGITS
from mnist_core.data.loading import load_dataset
from mnist_core.errors import DataError
from mnist_core.models.architectures import MODELS
from mnist_core.models.checkpoint import save_checkpoint
from mnist_core.models.classifier import build_model, permute_outputs, to_unit
from mnist_core.training.state import TrainState, load_teachers
from tests.helpers.files import encoded, write_folder

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def test_equal_names_match_in_any_order():
    assert match_classes("abc", "cab") == (2, 0, 1)
    assert match_classes(DIGITS, ["7", "1"]) == (7, 1)


def test_unicode_form_and_case_do_not_separate_names():
    assert match_classes(["caf\u00e9", "Tee"], ["tee", "cafe\u0301"]) == (1, 0)
    assert match_classes(["a", "A"], ["A", "a"]) == (1, 0)
    with pytest.raises(ClassesError):
        match_classes(["é", "É"], ["\u0045\u0301x", "é"])


@pytest.mark.parametrize(
    "theirs",
    [WORDS, [*"零一二三四五六七八九"], [*"٠١٢٣٤٥٦٧٨٩"], [f"{n:02}" for n in range(10)], ["null", "eins", "zwei"]],
)
def test_numbers_in_words_and_scripts_are_only_offered(theirs):
    with pytest.raises(ClassesError) as caught:
        match_classes(DIGITS, theirs)
    assert caught.value.suggestion == {name: str(n) for n, name in enumerate(theirs)}
    assert f"--classes {theirs[0]}=0,{theirs[1]}=1" in str(caught.value)
    mapping = ",".join(f"{name}={mine}" for name, mine in caught.value.suggestion.items())
    assert match_classes(DIGITS, theirs, mapping) == tuple(range(len(theirs)))


def test_other_names_are_refused_with_both_lists():
    with pytest.raises(ClassesError, match="0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and those of x are a, b, c") as caught:
        match_classes(DIGITS, "abc", whose="x")
    assert caught.value.suggestion == {}
    assert suggest(DIGITS, ["one", "eins"]) == {}  # the same number twice


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ("a=0,b=1,c=0", "mapped to '0'"),
        ("a=0,b=1,c=ten", "no class 'ten' to map 'c' to"),
        ("d=0", "no class 'd'"),
        ("a", "not THEIRS=MINE"),
        ("a=1,a=2", "mapped twice"),
    ],
)
def test_a_wrong_mapping_is_a_sentence(mapping, said):
    with pytest.raises(DataError, match=said):
        match_classes(DIGITS, "abc", mapping)


def test_names_are_mapped_beside_equal_ones():
    assert match_classes(["cat", "dog"], ["dog", "chat"], "chat=cat") == (1, 0)
    assert parse_mapping(" chat = cat , x=y ") == {"chat": "cat", "x": "y"}


def test_numbers_are_read_from_names():
    assert [number_of(name) for name in ("7", "07", "Seven", "七", "７", "Ⅶ", "½", "cat")] == [7] * 6 + [None, None]


def test_labels_follow_the_models_order():
    data = load_dataset("digits")
    turned = relabel(data, DIGITS[::-1])
    assert turned.classes == DIGITS[::-1]
    for old, new in ((data.train_labels, turned.train_labels), (data.test_labels, turned.test_labels)):
        np.testing.assert_array_equal(new, 9 - old)
    assert relabel(data, DIGITS) is data


@pytest.mark.parametrize("architecture", MODELS)
def test_outputs_of_every_architecture_can_be_reordered(architecture):
    torch.manual_seed(0)
    model = build_model(TrainConfig(model=architecture), Shape()).eval()
    images, order = torch.rand(3, 1, 28, 28), [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
    with torch.no_grad():
        before = model(images)
        permute_outputs(model, order)
        torch.testing.assert_close(model(images), before[:, order])


def saved(folder, classes) -> str:
    config = TrainConfig(dataset="digits", model="mlp")
    torch.manual_seed(1)
    model = build_model(config, Shape(1, 28, 28, len(classes)), [0.0], [1.0])
    fields = {"architecture": config.model, "classes": list(classes), "input_shape": (1, 28, 28), "config": config}
    save_checkpoint(folder, model, name="m", dataset="digits", epoch=1, step=1, train_seconds=1, **fields)
    return str(folder)


def test_teachers_and_first_weights_are_matched_by_name(tmp_path, tiny_data):
    straight, turned = saved(tmp_path / "a", DIGITS), saved(tmp_path / "b", DIGITS[::-1])
    images = to_unit(tiny_data.test_images[:5])
    config = TrainConfig(dataset="digits", model="mlp", teachers=f"{straight},{turned}")
    one, other = (model(images) for model in load_teachers(config, tiny_data.shape, tiny_data.classes))
    torch.testing.assert_close(one.flip(1), other)
    begun = TrainState(TrainConfig(dataset="digits", model="mlp", init_from=turned), tiny_data)
    torch.testing.assert_close(begun.model.eval()(images), other)


def test_models_of_other_classes_need_a_mapping(tmp_path, tiny_data):
    words = saved(tmp_path / "w", WORDS)
    for field in ("init_from", "teachers"):
        config = TrainConfig(dataset="digits", model="mlp", **{field: words})
        with pytest.raises(ClassesError, match="setting classes: zero=0"):
            TrainState(config, tiny_data)
        mapping = ",".join(f"{word}={n}" for n, word in enumerate(WORDS))
        TrainState(config.replace(classes=mapping), tiny_data)


def test_evaluate_refuses_other_names_and_takes_a_mapping(tmp_path, ask, refused):
    digits = load_dataset("digits")
    files = {}
    for part, images, labels in (
        ("train", digits.train_images, digits.train_labels),
        ("test", digits.test_images, digits.test_labels),
    ):
        for n in range(60):
            files[f"{part}/{WORDS[int(labels[n])]}/{n}.png"] = encoded(images[n, 0])
    name = f"folder:{write_folder(tmp_path / 'words', files)}"
    said = refused("evaluate", "pen", "--dataset", name)
    mapping = said.partition("--classes ")[2].rstrip(".")
    assert "0, 1, 2" in said
    assert "eight, five, four" in said
    status, out, _ = ask("evaluate", "pen", "--dataset", name, "--classes", mapping)
    assert status == 0
    assert float(out.partition("accuracy ")[2].partition("%")[0]) > 85
    other = mapping.replace("seven=7", "seven=1").replace("one=1", "one=7")
    swapped = ask("evaluate", "pen", "--dataset", name, "--classes", other)[1]
    assert float(swapped.partition("accuracy ")[2].partition("%")[0]) < 85
