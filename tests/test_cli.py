"""The command line's contract: keys, exit statuses, one clear line. Most in this process, a few in their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mnist_core.cli import main
from mnist_core.config import TrainConfig
from mnist_core.data.loading import load_dataset
from mnist_core.data.splits import arrange, split
from mnist_core.drawing.images import read_picture
from mnist_core.explain.faithfulness import record
from mnist_core.inference.predictor import Predictor
from mnist_core.inference.rejection import certainty, shape_rejection
from mnist_core.models.checkpoint import load_checkpoint
from mnist_core.models.classifier import to_unit
from mnist_core.recipes import RECIPES
from mnist_core.runs.run import create_run, list_runs, open_run
from tests.helpers import ROOT, strict_json

TRAIN_KEYS = {
    *("run_id", "run_dir", "checkpoint", "parameters", "val_accuracy", "test_accuracy", "train_seconds", "diagnosis"),
    *("val_accuracy_interval", "test_accuracy_interval"),
}
EVALUATE_KEYS = ["dataset", "split", "n", "accuracy", "loss", "weighted_f1", "per_class", "confusion", "ece", "refused"]
EVALUATE_KEYS.append("accuracy_interval")
EXPLAIN_KEYS = ["target", "method", "map", "completeness_error"]
PREDICT_KEYS = {"path", "digit", "confidence", "probabilities", "is_digit", "rejection", "number", "digits", "size"}
FAST = ["--dataset", "digits", "--recipe", "mlp-baseline", "--epochs", "1", "--set", "batch_size=256"]


def shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "mnist_core", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[dict, subprocess.CompletedProcess]:
    """`train` as a person calls it: its result, and all it wrote."""
    runs = tmp_path_factory.mktemp("cli") / "runs"
    arguments = ["--recipe", "quick", "--dataset", "digits", "--epochs", "5", "--seed", "1"]
    done = shell("train", *arguments, "--set", "keep=best", "--runs-dir", str(runs), "--json")
    assert done.returncode == 0, done.stderr
    return strict_json(done.stdout.splitlines()[-1]), done


# ---- train ----------------------------------------------------------------------------------------------------------


def test_train_prints_json_last_and_progress_on_stderr(trained):
    result, done = trained
    assert set(result) == TRAIN_KEYS
    assert len(done.stdout.splitlines()) == 1
    assert "epoch" in done.stderr
    assert "Traceback" not in done.stderr
    run = open_run(result["run_id"], Path(result["run_dir"]).parent)
    assert run.status().state == "completed"
    config = run.config()
    assert (config.recipe, config.dataset, config.epochs, config.seed, config.keep) == ("quick", "digits", 5, 1, "best")
    assert str(run.checkpoint()) == result["checkpoint"]
    assert result["parameters"] == 24_954
    assert 0 < result["train_seconds"] < 200


def test_reported_accuracies_equal_those_measured_again(trained):
    result, _ = trained
    checkpoint = load_checkpoint(result["checkpoint"])
    digits = load_dataset("digits")
    _, rows = split(digits.train_labels, checkpoint.card.config.validation_fraction, 1)
    for key, images, labels in [
        ("test_accuracy", digits.test_images, digits.test_labels),
        ("val_accuracy", digits.train_images[rows], digits.train_labels[rows]),
    ]:
        with torch.no_grad():
            right = checkpoint.model(torch.from_numpy(images) / 255).argmax(dim=1).numpy() == labels
        assert result[key] == pytest.approx(right.mean(), abs=1e-9)
    assert result["test_accuracy"] > 0.9


def test_train_without_json_prints_readable_text(ask, tmp_path):
    status, out, _ = ask("train", *FAST, "--runs-dir", str(tmp_path / "mine"))
    assert status == 0
    assert re.search(r"test accuracy \d+\.\d\d% \(\d+\.\d\d–\d+\.\d\d\), validation \d+\.\d\d% \(", out)
    assert "digits" in out
    assert [path.name in out for path in (tmp_path / "mine").iterdir() if path.name[0] != "."] == [True]


def test_without_mnist_the_built_in_digits_are_used_and_named(ask, tmp_path):
    arguments = ["--recipe", "mlp-baseline", "--epochs", "1", "--set", "batch-size=256"]
    status, out, err = ask("train", *arguments, "--data-dir", str(tmp_path), "--json")
    assert status == 0
    assert open_run(strict_json(out.splitlines()[-1])["run_id"]).config().dataset == "digits"
    assert f"MNIST is not in {tmp_path}: training on the built-in 'digits'" in err


def test_a_setting_given_twice_is_the_last_or_refused(ask):
    status, out, err = ask("train", *FAST, "--set", "epochs=2", "--json")
    assert status in (0, 2), err
    if status == 0:
        assert open_run(strict_json(out.splitlines()[-1])["run_id"]).config().epochs == 2


def test_train_says_why_it_learned_nothing(ask, trained):
    assert trained[0]["diagnosis"] == ""
    status, out, err = ask("train", *FAST, "--set", "learning_rate=1e-6", "--json")
    assert status == 0
    diagnosis = strict_json(out.splitlines()[-1])["diagnosis"]
    assert "Most likely the learning rate of 1e-06 is too low" in diagnosis
    assert diagnosis in err


def test_a_stopped_run_is_resumed_by_name(ask, refused, tmp_path):
    config = TrainConfig(
        recipe="mine", dataset="digits", model="mlp", epochs=2, batch_size=256, validation_fraction=0.2
    )
    run = create_run(config, tmp_path / "runs")
    run.command("stop")
    run.finish("stopped")
    status, out, _ = ask("train", "--resume", run.id, "--runs-dir", str(tmp_path / "runs"), "--json")
    assert status == 0
    assert strict_json(out.splitlines()[-1])["run_id"] == run.id
    assert run.status().state == "completed"
    line = refused("train", "--resume", run.id, "--runs-dir", str(tmp_path / "runs"))
    assert "is complete" in line


def test_resume_keeps_settings_and_refuses_a_second_process(refused, tmp_path):
    run = create_run(TrainConfig(dataset="digits", model="mlp"), tmp_path / "runs")
    here = ["--runs-dir", str(tmp_path / "runs")]
    for more in (["--epochs", "3"], ["--set", "dropout=0.1"], ["--recipe", "quick"], ["--seed", "0"]):
        assert "--resume" in refused("train", "--resume", run.id, *here, *more)
    with run.lock:
        assert "another process" in refused("train", "--resume", run.id, *here)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--recipe", "nope"], "nope"),
        (["--epochs", "abc"], "epochs"),
        (["--epochs", "0"], "epochs"),
        (["--epochs", "-1"], "epochs"),
        (["--seed", "1.5"], "seed"),
        (["--set", "nope=1"], "nope"),
        (["--set", "dropout=2"], "0 to 0.9"),
        (["--set", "dropout"], "FIELD=VALUE"),
        (["--set", "model=resnet"], "resnet"),
        (["--set", "learning_rate=nan"], "learning_rate"),
        (["--set", "dataset=nope"], "nope"),
        (["--dataset", "nope"], "nope"),
        (["--resume", "unknown"], "unknown"),
        (["--resume", "../x"], "../x"),
        (["--set"], "--set"),
        (["--nope"], "--nope"),
        (["extra"], "extra"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_request_to_train_is_one_line_and_leaves_no_run(refused, arguments, named, tmp_path):
    dataset = [] if "--dataset" in arguments or "--resume" in arguments else ["--dataset", "digits"]
    assert named in refused("train", *dataset, *arguments)
    assert not (tmp_path / "runs").exists()


def test_missing_mnist_is_one_line(refused, tmp_path):
    line = refused("train", "--dataset", "mnist", "--data-dir", str(tmp_path / "empty"))
    assert str(tmp_path / "empty") in line
    assert "'digits'" in line


def test_a_runs_folder_that_cannot_be_written_is_one_line(refused, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "cannot be written" in refused("train", *FAST, "--runs-dir", str(tmp_path / "file"))


def test_a_training_that_diverges_has_failed(ask):
    wild = ["optimizer=sgd", "learning_rate=10", "activation=leaky-relu", "batch_size=32"]
    settings = [part for setting in wild for part in ("--set", setting)]
    status, out, err = ask("train", "--recipe", "mlp-baseline", "--dataset", "digits", *settings, "--json")
    assert status == 1
    assert out == ""
    assert re.match(r"failed: The run \S+ is failed\. The loss is no longer a number", err.splitlines()[-1])
    assert err.splitlines()[-1].endswith("is too high: 0.001 is usual here.")
    assert "Traceback" not in err


# ---- evaluate -------------------------------------------------------------------------------------------------------


def test_evaluate_prints_the_documented_json(ask, trained):
    result, _ = trained
    status, out, _ = ask("evaluate", result["checkpoint"], "--json")
    assert status == 0
    (line,) = out.splitlines()
    found = strict_json(line)
    assert list(found) == EVALUATE_KEYS
    assert (found["dataset"], found["split"], found["n"]) == ("digits", "test", 360)
    assert found["accuracy"] == result["test_accuracy"]
    confusion = np.array(found["confusion"])
    assert confusion.shape == (10, 10)
    assert np.trace(confusion) / confusion.sum() == pytest.approx(found["accuracy"])
    digits = load_dataset("digits")
    assert confusion.sum(axis=1).tolist() == np.bincount(digits.test_labels).tolist()
    assert [row["label"] for row in found["per_class"]] == list(digits.classes)
    for digit, row in enumerate(found["per_class"]):
        assert set(row) == {"label", "precision", "recall", "f1", "n"}
        assert row["recall"] == pytest.approx(confusion[digit, digit] / confusion[digit].sum())
        assert row["precision"] == pytest.approx(confusion[digit, digit] / max(confusion[:, digit].sum(), 1))
        assert row["n"] == confusion[digit].sum()
    checkpoint = load_checkpoint(result["checkpoint"])
    with torch.no_grad():
        answers = checkpoint.model(torch.from_numpy(digits.test_images) / 255).softmax(dim=1).numpy()
    sure, said = answers.max(axis=1), answers.argmax(axis=1)
    place, right = np.digitize(sure, np.arange(1, 15) / 15), said == digits.test_labels
    gaps = [abs(right[place == b].sum() - sure[place == b].sum()) for b in range(15)]
    assert found["ece"] == pytest.approx(sum(gaps) / 360, abs=1e-5)
    shaped = np.array([shape_rejection(picture) is not None for picture in digits.test_images[:, 0]])
    assert found["refused"] == pytest.approx((shaped | (certainty(answers) < checkpoint.card.refuse_below)).mean())


def test_evaluate_tells_at_which_strength_a_corruption_fails(ask, trained):
    result, _ = trained
    status, out, _ = ask("evaluate", result["checkpoint"], "--corruption", "shift", "--json")
    assert status == 0
    found = strict_json(out.splitlines()[-1])
    assert list(found) == [*EVALUATE_KEYS, "corruption"]
    broken = found["corruption"]
    assert set(broken) == {"name", "levels", "accuracy", "intervals", "fails_at"}
    assert broken["accuracy"][0] == pytest.approx(found["accuracy"])
    below = [
        level for level, a in zip(broken["levels"], broken["accuracy"], strict=True) if a < 0.9 * found["accuracy"]
    ]
    assert broken["fails_at"] == (below[0] if below else None)
    status, out, _ = ask("evaluate", result["checkpoint"], "--corruption", "shift")
    assert f"Shift: It fails at {broken['fails_at']} px: " in out
    status, out, err = ask("evaluate", result["checkpoint"], "--corruption", "fog")
    assert (status, out) == (2, "")
    assert "There is no corruption 'fog' here; there are: noise" in err


@pytest.mark.parametrize(("part", "count"), [("train", 1221), ("validation", 216)])
def test_evaluate_uses_the_splits_of_the_training(ask, trained, part, count):
    result, _ = trained
    status, out, _ = ask("evaluate", result["checkpoint"], "--split", part, "--json")
    found = strict_json(out.splitlines()[-1])
    assert (status, found["split"], found["n"]) == (0, part, count)
    if part == "validation":
        assert found["accuracy"] == pytest.approx(result["val_accuracy"], abs=1e-9)


def test_a_pooled_split_is_evaluated_on_its_own_test_part(ask):
    status, out, err = ask("train", *FAST, "--set", "split=pooled", "--set", "validation_fraction=0.2", "--json")
    assert status == 0, err
    trained = strict_json(out.splitlines()[-1])
    checkpoint = load_checkpoint(trained["checkpoint"])
    digits = load_dataset("digits")
    pooled = arrange(digits, checkpoint.card.config)
    parts = {}
    for part, count in (("test", 180), ("validation", 360), ("train", 1257)):  # of 1,797
        status, out, _ = ask("evaluate", trained["checkpoint"], "--split", part, "--json")
        parts[part] = strict_json(out)
        assert (status, parts[part]["n"]) == (0, count)
    assert parts["test"]["accuracy"] == pytest.approx(trained["test_accuracy"], abs=1e-9)
    assert parts["validation"]["accuracy"] == pytest.approx(trained["val_accuracy"], abs=1e-9)
    confusion = np.array(parts["test"]["confusion"])
    assert confusion.sum(axis=1).tolist() == np.bincount(pooled.test_labels).tolist()
    with torch.no_grad():
        answers = checkpoint.model(to_unit(pooled.test_images)).argmax(dim=1)
    assert confusion.sum(axis=0).tolist() == answers.bincount(minlength=10).tolist()
    all_labels = np.concatenate([digits.train_labels, digits.test_labels])
    counts = sum(np.array(part["confusion"]).sum(axis=1) for part in parts.values())
    assert counts.tolist() == np.bincount(all_labels).tolist()


def test_evaluate_without_json_prints_readable_text(ask, trained):
    result, _ = trained
    status, out, _ = ask("evaluate", result["checkpoint"])
    assert status == 0
    assert f"accuracy {result['test_accuracy']:.2%}" in out


@pytest.mark.parametrize("name", ["nothing", "", ".", "../x", "x" * 300])
def test_a_missing_checkpoint_is_one_line(refused, name):
    for command in (["evaluate", name], ["predict", name, "picture.png"]):
        assert "no checkpoint" in refused(*command)


def test_a_wrong_dataset_or_split_is_one_line(refused, trained, tmp_path):
    checkpoint = trained[0]["checkpoint"]
    assert "nope" in refused("evaluate", checkpoint, "--dataset", "nope")
    assert "nope" in refused("evaluate", checkpoint, "--split", "nope")
    assert "MNIST is not in" in refused("evaluate", checkpoint, "--dataset", "mnist", "--data-dir", str(tmp_path))


# ---- predict --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """0.png to 9.png as a canvas gives them: RGBA, 280 × 280; and a file that is no picture."""
    folder = tmp_path_factory.mktemp("pictures")
    digits = load_dataset("digits")
    for digit in range(10):
        grey = digits.test_images[digits.test_labels == digit][1, 0]
        Image.fromarray(np.kron(grey, np.ones((10, 10), np.uint8))).convert("RGBA").save(folder / f"{digit}.png")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_predict_reads_a_folder_one_line_a_picture(ask, trained, pictures):
    status, out, err = ask("predict", trained[0]["checkpoint"], str(pictures), "--json")
    assert status == 0, err
    found = [strict_json(line) for line in out.splitlines()]
    assert [Path(line["path"]).name for line in found] == [f"{digit}.png" for digit in range(10)]
    for line in found:
        assert set(line) == PREDICT_KEYS
        assert len(line["probabilities"]) == 10
        assert sum(line["probabilities"]) == pytest.approx(1, abs=1e-4)
        assert line["digit"] == int(np.argmax(line["probabilities"]))
        assert line["confidence"] == max(line["probabilities"])
        assert isinstance(line["is_digit"], bool)
    assert sum(line["digit"] == digit for digit, line in enumerate(found)) >= 9


def test_predict_reads_several_images_and_rejects_a_blank_one(ask, trained, pictures, tmp_path):
    Image.new("L", (100, 60), 255).save(tmp_path / "blank.JPG")
    paths = [str(pictures / "3.png"), str(tmp_path), str(pictures / "4.png")]
    status, out, _ = ask("predict", trained[0]["checkpoint"], *paths)
    assert status == 0
    found = [strict_json(line) for line in out.splitlines()]
    assert [Path(line["path"]).name for line in found] == ["3.png", "blank.JPG", "4.png"]
    assert (found[1]["digit"], found[1]["is_digit"], found[1]["confidence"]) == (None, False, 0.0)


def test_a_picture_that_cannot_be_read_is_one_line(refused, trained, pictures, tmp_path):
    checkpoint = trained[0]["checkpoint"]
    assert "missing.png" in refused("predict", checkpoint, str(tmp_path / "missing.png"))
    assert "notes.txt" in refused("predict", checkpoint, str(pictures / "notes.txt"))
    assert "no picture" in refused("predict", checkpoint, str(tmp_path))
    (tmp_path / "empty.png").write_bytes(b"")
    assert "empty.png" in refused("predict", checkpoint, str(tmp_path / "empty.png"))
    assert "PICTURE" in refused("predict", checkpoint)


def test_a_name_too_long_for_any_file_is_one_line(refused, trained, tmp_path):
    refused("predict", trained[0]["checkpoint"], str(tmp_path / ("x" * 300)))


def test_one_bad_picture_among_many_does_not_hide_the_others(ask, trained, pictures):
    paths = [str(pictures / name) for name in ("1.png", "notes.txt", "2.png")]
    status, out, err = ask("predict", trained[0]["checkpoint"], *paths)
    assert status == 2
    assert [Path(strict_json(line)["path"]).name for line in out.splitlines()] == ["1.png", "2.png"]
    assert "notes.txt" in err
    assert all(line.startswith("error: ") for line in err.splitlines())


def test_predict_reads_folders_in_folders_and_no_system_files(ask, trained, pictures, tmp_path):
    for name in ("set/10/a.png", "set/2/b.png", "set/2/._b.png", "__MACOSX/set/2/b.png", ".hidden/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((pictures / "3.png").read_bytes())
    status, out, err = ask("predict", trained[0]["checkpoint"], str(tmp_path))
    assert status == 0, err
    found = [Path(strict_json(line)["path"]).relative_to(tmp_path).as_posix() for line in out.splitlines()]
    assert found == ["set/2/b.png", "set/10/a.png"]


@pytest.mark.parametrize("prefix", ["", "csv:"])
def test_predict_reads_a_table_of_pixels(ask, trained, tmp_path, prefix):
    digits = load_dataset("digits")
    table = tmp_path / ("pixels.csv" if not prefix else "pixels.data")
    rows = [",".join(map(str, image.flatten().tolist())) for image in digits.test_images[:5]]
    table.write_text("\n".join(rows))
    status, out, err = ask("predict", trained[0]["checkpoint"], f"{prefix}{table}")
    assert status == 0, err
    found = [strict_json(line) for line in out.splitlines()]
    assert [line["path"] for line in found] == [f"{table}#{row}" for row in range(5)]
    alone = Predictor(trained[0]["checkpoint"])
    assert [line["digit"] for line in found] == [alone.predict(i[0]).digit for i in digits.test_images[:5]]


# ---- explain --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["integrated-gradients", "grad-cam", "occlusion"])
def test_explain_prints_a_map_over_the_models_input(ask, pictures, method):
    status, out, err = ask("explain", "pen", str(pictures / "7.png"), "--method", method, "--target", "2", "--json")
    assert status == 0, err
    found = strict_json(out)
    failed = any(row["low"] <= 0 for row in record() if (row["model"], row["method"]) == ("pen", method))
    assert ("failed the test" in err) == failed
    assert list(found) == EXPLAIN_KEYS
    assert (found["target"], found["method"]) == (2, method)
    assert np.array(found["map"]).shape == (28, 28)
    predictor = Predictor("pen")
    image = predictor.prepare(read_picture(pictures / "7.png"))
    with torch.no_grad():
        whole, empty = predictor.checkpoint.model(
            torch.stack([torch.tensor(image) / 255, torch.zeros(28, 28)])[:, None]
        )
    missing = abs(np.sum(found["map"]) - float(whole[2] - empty[2]))
    assert found["completeness_error"] == pytest.approx(missing, abs=2e-3)
    if method == "integrated-gradients":
        assert missing < 0.02 * abs(float(whole[2] - empty[2]))


def test_explain_takes_the_answer_and_a_method_by_itself(ask, pictures, trained):
    status, out, _ = ask("explain", trained[0]["checkpoint"], str(pictures / "3.png"))
    assert status == 0
    assert out.startswith("integrated-gradients for class 3: its score is ")


def test_what_cannot_be_explained_is_one_line(refused, pictures, tmp_path):
    three = str(pictures / "3.png")
    assert "classes 0 to 9" in refused("explain", "pen", three, "--target", "10")
    assert "invalid choice" in refused("explain", "pen", three, "--method", "lime")
    assert "invalid int" in refused("explain", "pen", three, "--target", "three")
    assert "explain takes one" in refused("explain", "pen", str(pictures))
    assert "no checkpoint" in refused("explain", "nope", three)
    Image.new("L", (50, 50)).save(tmp_path / "blank.png")
    assert "nothing to read" in refused("explain", "pen", str(tmp_path / "blank.png"))


def test_grad_cam_of_a_dense_network_is_refused(ask, refused, pictures):
    status, out, _ = ask("train", *FAST, "--json")
    assert status == 0
    checkpoint = strict_json(out.splitlines()[-1])["checkpoint"]
    assert "dense layers only" in refused("explain", checkpoint, str(pictures / "3.png"), "--method", "grad-cam")


# ---- the rest -------------------------------------------------------------------------------------------------------


def test_recipes_are_listed(ask):
    status, out, _ = ask("recipes")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(RECIPES)
    status, out, _ = ask("recipes", "--json")
    assert strict_json(out)["accurate"]["settings"]["epochs"] == 30


def test_a_learning_rate_is_found_and_no_run_written(ask):
    arguments = ("find-lr", "--dataset", "digits", "--recipe", "mlp-baseline", "--json")
    status, out, _ = ask(*arguments)
    assert status == 0
    found = strict_json(out.splitlines()[-1])
    assert found["schedule"] == "constant"
    assert 0.0003 <= found["suggestion"] <= 0.005
    assert f"Hence {found['suggestion']:g}." in found["reason"]
    assert list_runs() == []
    status, out, _ = ask(*arguments[:-1])
    assert out.strip() == strict_json(ask(*arguments)[1].splitlines()[-1])["reason"]


def test_what_no_rate_can_be_found_for_is_one_line(refused):
    assert "2 batches" in refused("find-lr", "--dataset", "digits", "--set", "batch_size=1024")
    assert "--seconds" in refused("find-lr", "--dataset", "digits", "--seconds", "0")
    assert "recipe" in refused("batch-size", "--recipe", "nope")


def test_batch_sizes_are_a_table_and_json(ask):
    arguments = ("batch-size", "--dataset", "digits", "--recipe", "mlp-baseline")
    status, out, _ = ask(*arguments)
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[1:8]] == ["16", "32", "64", "128", "256", "512", "1024"]
    found = strict_json(ask(*arguments, "--json")[1].splitlines()[-1])
    assert set(found) == {"speeds", "suggestion", "reason"}
    assert set(found["speeds"][0]) == {"size", "images_per_second", "steps_per_epoch"}


@pytest.mark.parametrize("arguments", [[], ["nope"], ["trian", "--json"], ["--json"]])
def test_an_unknown_command_is_one_line(refused, arguments):
    refused(*arguments)


def test_help_is_no_error(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["train", "--help"])
    assert caught.value.code == 0
    assert "--set FIELD=VALUE" in capsys.readouterr().out


def test_the_command_exits_with_its_status_and_one_line(tmp_path):
    done = shell("train", "--dataset", "digits", "--set", "dropout=2", MNIST_LAB_RUNS=str(tmp_path / "runs"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"error: dropout should be [^\n]*allowed: 0 to 0\.9\)\.\n", done.stderr)
