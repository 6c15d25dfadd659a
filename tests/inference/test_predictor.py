import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mnist_core.config import Shape, TrainConfig
from mnist_core.data.loading import load_dataset
from mnist_core.drawing.preprocess import to_model_input
from mnist_core.drawing.strokes import european_one
from mnist_core.errors import CheckpointError, DrawingError
from mnist_core.inference.metrics import evaluate
from mnist_core.inference.predictor import Predictor
from mnist_core.models.checkpoint import load_checkpoint, save_checkpoint, update_card
from mnist_core.models.classifier import build_model
from mnist_core.training.loop import train
from mnist_core.training.state import TrainState
from tests.helpers import drawing


def save(folder, model, shape: Shape, config: TrainConfig, refuse_below: float = 0.0):
    save_checkpoint(
        folder,
        model,
        name="a test",
        architecture=config.model,
        classes=[str(digit) for digit in range(shape.classes)],
        input_shape=(shape.channels, shape.height, shape.width),
        dataset="digits",
        config=config,
        epoch=1,
        step=1,
        train_seconds=1,
        refuse_below=refuse_below,
    )
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint that can read the built-in digits."""
    config = TrainConfig(
        model="small-cnn", dataset="digits", epochs=5, batch_size=64, learning_rate=0.01, schedule="one-cycle"
    )
    data = load_dataset("digits")
    state = TrainState(config, data)
    list(train(state, data))
    return save(tmp_path_factory.mktemp("trained") / "c", state.best_model, data.shape, config, refuse_below=0.5)


@pytest.fixture(scope="module")
def predictor(trained) -> Predictor:
    return Predictor(trained)


def canvas(digit: np.ndarray, side: int = 280) -> np.ndarray:
    """(28, 28) light on dark → (side, side, 4), as a canvas gives it."""
    grey = np.kron(digit, np.ones((side // 28, side // 28), np.uint8))
    return np.dstack([grey, grey, grey, np.full_like(grey, 255)])


def test_drawn_digits_are_read(predictor):
    data = load_dataset("digits")
    right = 0
    for digit in range(10):
        picture = data.test_images[data.test_labels == digit][0, 0]
        prediction = predictor.predict(canvas(picture))
        assert prediction.probabilities.shape == (10,)
        assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
        assert prediction.digit == prediction.probabilities.argmax()
        assert prediction.confidence == prediction.probabilities.max()
        right += prediction.digit == digit
    assert right >= 9


def test_the_answer_is_the_models_to_what_is_shown_as_its_input(predictor, trained):
    picture = canvas(load_dataset("digits").test_images[3, 0])
    prediction = predictor.predict(picture)
    seen = prediction.model_input
    assert (seen.shape, seen.dtype) == ((28, 28), np.uint8)
    np.testing.assert_array_equal(seen, to_model_input(picture))
    with torch.no_grad():
        logits = load_checkpoint(trained).model(torch.tensor(seen, dtype=torch.float32).view(1, 1, 28, 28) / 255)[0]
    odds = np.exp(logits.double().numpy())
    np.testing.assert_allclose(prediction.probabilities, odds / odds.sum(), atol=1e-5)


def test_dark_on_light_is_read_as_light_on_dark(predictor):
    grey = canvas(load_dataset("digits").test_images[3, 0])[..., 0]
    light, dark = predictor.predict(grey), predictor.predict(255 - grey)
    assert light.digit == dark.digit
    np.testing.assert_allclose(light.probabilities, dark.probabilities, atol=0.05)


@pytest.mark.parametrize("strokes", [drawing.SEVEN, drawing.EIGHT, european_one(0.3, 0.5)])
def test_the_size_of_a_canvas_does_not_matter(strokes):
    pen = Predictor("pen")
    expected = pen.predict(drawing.canvas(strokes))
    for side in (342, 480, 560):
        found = pen.predict(drawing.canvas(strokes, canvas=side, brush=20 * side / 280))
        assert found.digit == expected.digit
        assert abs(found.probabilities - expected.probabilities).max() < 0.02
    # what is sent while the pen is down is half as wide
    whole = drawing.canvas(strokes, canvas=560, brush=40)
    half = pen.predict(np.asarray(Image.fromarray(whole).resize((280, 280), Image.Resampling.BILINEAR)))
    assert abs(half.probabilities - pen.predict(whole).probabilities).max() < 0.02


@pytest.mark.parametrize("level", [0, 255, 128])
@pytest.mark.parametrize("shape", [(280, 280), (280, 280, 3), (28, 28)])
def test_a_blank_drawing_is_no_digit(predictor, shape, level):
    prediction = predictor.predict(np.full(shape, level, np.uint8))
    assert (prediction.digit, prediction.confidence, prediction.is_digit) == (None, 0.0, False)
    assert prediction.model_input is None
    assert prediction.probabilities.tolist() == [0.0] * 10


def test_a_transparent_canvas_is_blank(predictor):
    assert predictor.predict(np.zeros((280, 280, 4), np.uint8)).digit is None


@pytest.mark.parametrize("shape", [(28,), (28, 28, 2), (1, 28, 28, 1)])
def test_what_is_no_picture_is_a_sentence(predictor, shape):
    with pytest.raises(DrawingError):
        predictor.predict(np.ones(shape, np.uint8))


def test_confidence_below_the_cards_threshold_is_no_digit(trained, tmp_path):
    picture = canvas(load_dataset("digits").test_images[0, 0])
    loaded = load_checkpoint(trained)
    confidence = Predictor(loaded).predict(picture).confidence
    for threshold, is_digit in ((confidence - 1e-3, True), (min(confidence + 1e-3, 1.0), confidence >= 1)):
        card = loaded.card.model_copy(update={"refuse_below": threshold})
        prediction = Predictor(replace(loaded, card=card)).predict(picture)
        assert prediction.is_digit is is_digit
        assert prediction.confidence == confidence


@pytest.mark.parametrize(("channels", "side"), [(3, 28), (1, 32), (3, 32)])
def test_the_drawing_is_repeated_and_resized_to_the_input(tmp_path, channels, side):
    config, shape = TrainConfig(model="small-cnn"), Shape(channels, side, side, 4)
    model = build_model(config, shape, [0.1] * channels, [0.3] * channels).eval()
    predictor = Predictor(save(tmp_path / "c", model, shape, config))
    flat = np.full((2, 1, 28, 28), 51, np.uint8)  # one grey stays one grey at every size
    with torch.no_grad():
        expected = model(torch.full((2, channels, side, side), 0.2)).softmax(dim=1)
    answers = predictor.probabilities(flat)
    assert (answers.shape, answers.dtype) == ((2, 4), np.float32)
    np.testing.assert_allclose(answers, expected, atol=1e-5)
    assert len(predictor.predict(canvas(load_dataset("digits").test_images[0, 0])).probabilities) == 4


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 40, 33), (1, 17, 15), (3, 30, 64)])
def test_pictures_are_resized_as_torchs_interpolation_does(tmp_path, channels, height, width):
    config, shape = TrainConfig(model="mlp"), Shape(channels, height, width, 4)
    model = build_model(config, shape, [0.1] * channels, [0.3] * channels).eval()
    images = np.random.default_rng(0).integers(0, 256, (6, 1, 28, 28), dtype=np.uint8)
    grey = torch.from_numpy(images).float() / 255
    with torch.no_grad():
        large = F.interpolate(grey, size=(height, width), mode="bilinear", antialias=True)
        expected = model(large.expand(-1, channels, -1, -1)).softmax(dim=1)
    found = Predictor(save(tmp_path / "c", model, shape, config)).probabilities(images)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.ptp(found, axis=0).max() > 0.01


def test_threads_may_share_a_predictor(predictor):
    pictures = [canvas(image) for image in load_dataset("digits").test_images[:4, 0]]
    expected = [predictor.predict(picture).probabilities for picture in pictures]
    found: dict[int, list[np.ndarray]] = {}

    def ask(index: int) -> None:
        found[index] = [predictor.predict(pictures[index]).probabilities for _ in range(5)]

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, answers in found.items():
        for answer in answers:
            np.testing.assert_allclose(answer, expected[index], atol=1e-6)
    assert len(found) == 4


def test_a_predictor_is_made_of_a_name_a_path_or_a_checkpoint(trained):
    loaded = load_checkpoint(trained)
    assert Predictor(loaded).checkpoint is loaded
    assert Predictor(trained).card == Predictor(str(trained)).card == loaded.card
    with pytest.raises(CheckpointError, match="There is no checkpoint 'nothing'"):
        Predictor("nothing")
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        Predictor(trained / "nothing")


def test_the_rejection_threshold_in_a_card_can_be_updated(trained, tmp_path):
    config, shape = TrainConfig(model="mlp"), Shape()
    folder = save(tmp_path / "c", build_model(config, shape), shape, config)
    update_card(folder, refuse_below=1.0)
    prediction = Predictor(folder).predict(canvas(load_dataset("digits").test_images[0, 0]))
    assert prediction.digit is not None
    assert prediction.is_digit is False


@pytest.mark.parametrize("temperature", [0.3, 2.5])
def test_the_temperature_scales_probabilities_not_answers(trained, tmp_path, temperature):
    config, data = load_checkpoint(trained).card.config, load_dataset("digits")
    folder = save(tmp_path / "c", load_checkpoint(trained).model, data.shape, config)
    plain = Predictor(folder)
    update_card(folder, temperature=temperature)
    images, labels = data.test_images[:50], data.test_labels[:50]
    with torch.no_grad():
        raw = plain.checkpoint.model(torch.from_numpy(images) / 255).double().numpy()
    odds = np.exp(raw / temperature)
    expected = odds / odds.sum(axis=1, keepdims=True)
    predictor = Predictor(folder)
    judged = evaluate(predictor.network, images, labels)
    np.testing.assert_allclose(predictor.probabilities(images), expected, atol=1e-4)
    np.testing.assert_allclose(judged.probabilities, expected, atol=1e-4)
    assert judged.loss == pytest.approx(-np.log(expected[np.arange(50), labels]).mean(), rel=1e-3)
    untouched = evaluate(plain.network, images, labels)
    assert judged.accuracy == untouched.accuracy == (raw.argmax(1) == labels).mean()


@pytest.mark.parametrize(("strokes", "rejection"), [(1, None), (2, "several")])
def test_two_digits_side_by_side_are_rejected_by_shape(trained, strokes, rejection):
    one = canvas(load_dataset("digits").test_images[1, 0])[::2, ::2, 0]
    sheet = np.zeros((280, 280), np.uint8)
    for place in range(strokes):
        sheet[60:200, 140 * place : 140 * place + 140] = one
    loaded = load_checkpoint(trained)
    sure = replace(loaded, card=loaded.card.model_copy(update={"refuse_below": 0.0}))
    prediction = Predictor(sure).predict(sheet)
    assert (prediction.rejection, prediction.is_digit) == (rejection, rejection is None)
    assert prediction.digit is not None
    assert Predictor(sure).rejections(prediction.model_input[None, None], prediction.probabilities[None]) == [rejection]


def test_a_card_may_ask_for_certainty_rather_than_for_confidence(trained):
    picture = canvas(load_dataset("digits").test_images[0, 0])
    loaded = load_checkpoint(trained)
    p = Predictor(loaded).predict(picture).probabilities.astype(float)
    certain = 1 + (p * np.log(p)).sum() / np.log(10)
    assert abs(certain - p.max()) > 1e-3
    for threshold, rejection in ((certain - 1e-4, None), (certain + 1e-4, "unsure")):
        card = loaded.card.model_copy(update={"refuse_by": "certainty", "refuse_below": threshold})
        assert Predictor(replace(loaded, card=card)).predict(picture).rejection == rejection


def test_shape_rejection_applies_to_digit_models_only(trained):
    loaded = load_checkpoint(trained)
    card = loaded.card.model_copy(update={"classes": list("abcdefghij"), "refuse_below": 0.0})
    sheet = np.zeros((280, 280), np.uint8)
    sheet[60:220, 60:80] = sheet[60:220, 200:220] = 255
    assert Predictor(replace(loaded, card=card)).predict(sheet).is_digit
    assert Predictor(loaded).predict(sheet).rejection == "several"


def test_an_unsure_answer_and_a_blank_drawing_have_reasons(trained):
    loaded = load_checkpoint(trained)
    card = loaded.card.model_copy(update={"refuse_below": 1.0})
    predictor = Predictor(replace(loaded, card=card))
    assert predictor.predict(canvas(load_dataset("digits").test_images[0, 0])).rejection == "unsure"
    assert predictor.predict(np.zeros((280, 280), np.uint8)).rejection == "blank"
