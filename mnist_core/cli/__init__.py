"""The command line, `mnist-lab` or `python -m mnist_core`: app, train, evaluate, predict, explain, export,
import, search, find-lr, batch-size, reproduce, bench, download, recipes.

Progress goes to stderr, results to stdout; with --json the result is the last line of stdout. Exit status: 0, or 1
when the work was begun and failed, or 2 when the request was wrong (one sentence on stderr).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from mnist_core.cli.checkpoints import run_evaluate, run_explain, run_export, run_predict
from mnist_core.cli.exports import FORMATS, run_import
from mnist_core.cli.finding import run_batch_size, run_find_lr
from mnist_core.cli.lab import run_bench, run_download, run_recipes, run_reproduce
from mnist_core.cli.output import print_note, print_result
from mnist_core.cli.search import run_search
from mnist_core.cli.settings import named_config
from mnist_core.config import TrainConfig
from mnist_core.errors import ConfigError, LabError, RunFailedError
from mnist_core.system.processes import Group, Place, joined
from mnist_core.system.threads import pin_threads_to_cores
from mnist_core.training.events import Event

METHODS = ("integrated-gradients", "grad-cam", "occlusion")  # of explain/saliency.py, which loads torch


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message} (see `{self.prog} --help`).")


def main(arguments: list[str] | None = None) -> int:
    """Runs one subcommand and returns the exit status."""
    try:
        parser = _parser()
        options, further = parser.parse_known_args(arguments)
        if further and options.run is not _app:
            parser.error(f"unrecognized arguments: {' '.join(further)}")
        options.streamlit_options = further
        options.run(options)
        return 0
    except RunFailedError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # whoever read our output has gone (`… | head`); Python would complain once more while closing it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    installed = Path(sys.argv[0]).stem == "mnist-lab"
    parser = _Parser(
        prog="mnist-lab" if installed else "python -m mnist_core",
        description="Train, try and understand a digit classifier: in the browser (app) or on the command line.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    app = commands.add_parser(
        "app",
        help="open the lab in the browser",
        usage="%(prog)s [-h] [--data-dir DATA_DIR] [--runs-dir RUNS_DIR] [STREAMLIT_OPTION ...]",
        description="Opens the lab in the browser, until Ctrl+C. Trainings that are running then go on.",
        epilog="Every option of `streamlit run` may follow, for example --server.port 8600 or --server.headless true.",
        allow_abbrev=False,
    )
    app.add_argument("--data-dir", help="the data folder (default: $MNIST_LAB_DATA, or ./data)")
    app.add_argument("--runs-dir", help="where runs are kept (default: $MNIST_LAB_RUNS, or ./runs)")
    app.set_defaults(run=_app)

    def command(name: str, run: Callable[[argparse.Namespace], None], help_text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help_text.replace("%", "%%"), description=help_text)
        sub.add_argument("--data-dir", help="the data folder (default: $MNIST_LAB_DATA, or ./data)")
        sub.add_argument("--json", action="store_true", help="print the result as JSON, last on stdout")
        sub.set_defaults(run=run)
        return sub

    train = command("train", _train, "train a model, and judge it on the test images once at the end")
    train.add_argument("--recipe", help="where the settings start from (default: quick; see `recipes`)")
    train.add_argument("--dataset", help="a name, or KIND:PATH as in docs/formats.md (default: mnist)")
    train.add_argument("--epochs")
    train.add_argument("--seed")
    train.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="any setting; repeatable")
    train.add_argument("--runs-dir", help="where the run is kept (default: $MNIST_LAB_RUNS, or ./runs)")
    train.add_argument("--owner", default="", metavar="NAME", help="whose run it is, for the pages' lists")
    train.add_argument("--resume", metavar="RUN", help="continue a run that was stopped or killed")

    evaluate = command("evaluate", run_evaluate, "measure a checkpoint on a dataset")
    evaluate.add_argument("checkpoint", help="a shipped checkpoint's name, or the path of a checkpoint folder")
    evaluate.add_argument("--dataset", help="default: the dataset it was trained on")
    evaluate.add_argument(
        "--classes", default="", metavar="THEIRS=MINE,…", help="the model's names of the dataset's classes, if others"
    )
    evaluate.add_argument("--split", choices=["test", "train", "validation"], default="test")
    evaluate.add_argument("--corruption", metavar="NAME", help="also at eight strengths of noise, blur, rotation, …")

    predict = command("predict", run_predict, "read digits from pictures, one JSON line a picture")
    predict.add_argument("checkpoint", help="a shipped checkpoint's name, or the path of a checkpoint folder")
    predict.add_argument("pictures", nargs="+", metavar="PICTURE_OR_FOLDER", help="or a CSV of pixels")

    explain = command("explain", run_explain, "show which pixels of a picture speak for a class")
    explain.add_argument("checkpoint", help="a shipped checkpoint's name, or the path of a checkpoint folder")
    explain.add_argument("picture", help="of any size, as `predict` takes it")
    explain.add_argument("--method", choices=METHODS, default=METHODS[0], help="default: %(default)s")
    explain.add_argument("--target", type=int, metavar="N", help="the class, by its index (default: the answer)")

    export = command("export", run_export, "write a model to a folder of its own: a checkpoint, ONNX, or a page")
    export.add_argument("checkpoint", help="a shipped checkpoint's name, or the path of a checkpoint folder")
    export.add_argument("folder", help="where to; its name becomes the model's")
    export.add_argument(
        "--format",
        choices=["checkpoint", *FORMATS],
        default="checkpoint",
        help="a checkpoint of this lab; model.onnx for other programs; model.html, to draw at without a server; "
        "report.html on its run; train.py for torch and torchvision alone; train.ipynb for Jupyter; a file for "
        "TensorBoard; or the weights with a README.md for the Hugging Face Hub (default: %(default)s)",
    )
    export.add_argument("--summary", default="", help="what a person should know of it, for the card")
    export.add_argument(
        "--about", metavar="FILE", help="JSON for the card: data, seeds, command, machine, figures, limits"
    )

    bring = command("import", run_import, "make a run of a bundle that was downloaded from another lab")
    bring.add_argument("bundle", help="a bundle's .zip, the folder of its files, or a checkpoint's folder")
    bring.add_argument("--runs-dir", help="where the run is kept (default: $MNIST_LAB_RUNS, or ./runs)")
    bring.add_argument("--owner", default="", metavar="NAME", help="whose run it is, for the pages' lists")

    search = command("search", run_search, "look for the best settings within ranges, judged on validation")
    search.add_argument("--recipe", help="where the other settings come from (default: quick; see `recipes`)")
    search.add_argument(
        "--range",
        action="append",
        default=[],
        metavar="FIELD=LOW:HIGH[:log]",
        help="a setting to search, or FIELD=A,B,C; repeatable",
    )
    search.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="any other setting; repeatable"
    )
    search.add_argument("--dataset", help="a name, or KIND:PATH as in docs/formats.md (default: mnist)")
    search.add_argument("--epochs", help="of each trial")
    search.add_argument("--trials", metavar="N", help="how many in all, over all processes (default: 20)")
    search.add_argument("--minutes", metavar="M", help="no trial begins after so long")
    search.add_argument("--sampler", choices=["tpe", "random"], help="default: tpe")
    search.add_argument("--pruner", choices=["asha", "median", "none"], help="what ends poor trials (default: asha)")
    search.add_argument("--study", metavar="NAME", help="the search's name: the same command again joins it")
    search.add_argument("--join", metavar="NAME", help="work on the search of that name, whatever it searches")
    search.add_argument(
        "--storage", metavar="FILE_OR_URL", help="a journal's file, or postgresql://… (default: $MNIST_LAB_STUDY)"
    )
    search.add_argument("--runs-dir", help="where the runs are kept (default: $MNIST_LAB_RUNS, or ./runs)")
    search.add_argument("--owner", default="", metavar="NAME", help="whose runs they are, for the pages' lists")
    search.add_argument("--background", action="store_true", help="at low priority, as the pages start it")
    find_lr = command("find-lr", run_find_lr, "suggest a learning rate by a range test of a minute; no run is written")
    sizes = command("batch-size", run_batch_size, "measure images a second with batches of 16 to 1,024")
    for finding in (find_lr, sizes):
        finding.add_argument("--recipe", default="quick", help="where the settings start from (default: %(default)s)")
        finding.add_argument("--dataset", help="a name, or KIND:PATH as in docs/formats.md (default: mnist)")
        finding.add_argument(
            "--set", action="append", default=[], metavar="FIELD=VALUE", help="any setting; repeatable"
        )
    find_lr.add_argument("--seconds", type=float, default=50.0, help="how long it may take (default: %(default)g)")

    reproduce = command("reproduce", run_reproduce, "train the earlier systems' recipes; compare with their claims")
    reproduce.add_argument("--recipes", help="names apart by commas (default: all)")
    reproduce.add_argument("--seeds", type=int, default=3, help="how many (default: 3)")
    reproduce.add_argument("--runs-dir", help="where the runs are kept, and looked for when interrupted")
    reproduce.add_argument("--cifar10", default="cifar10", help="what stands for CIFAR-10, for example folder:PATH")
    reproduce.add_argument("--keep", metavar="FILE", help="put the rows into this JSON file")

    bench = command("bench", run_bench, "the time to 99 % on MNIST against the usual training, on this machine")
    bench.add_argument("--seeds", type=int, default=5, help="trainings of `quick` (default: 5)")

    download = command("download", run_download, "fetch a dataset into the data folder")
    download.add_argument(
        "dataset",
        nargs="?",
        default="mnist",
        help="mnist, fashion-mnist, kmnist, cifar10, qmnist, usps, or emnist:PART with one of balanced, letters, "
        "digits, byclass, bymerge, mnist",
    )
    command("recipes", run_recipes, "list the recipes")
    return parser


def _app(options: argparse.Namespace) -> None:
    from mnist_core.system.resources import resource
    from mnist_core.system.settings import choose_folders

    further = options.streamlit_options
    if further and not further[0].startswith("-"):
        raise ConfigError(f"'{further[0]}' is no option: `app` takes those of `streamlit run`, such as --server.port.")
    choose_folders(options.data_dir, options.runs_dir)
    sys.argv = ["streamlit", "run", str(resource("app.py")), *further]
    runpy.run_module("streamlit", run_name="__main__", alter_sys=True)  # ends this process


def _train(options: argparse.Namespace) -> None:
    if Place.of_environment() is None:  # processes that do not know of each other would take the same cores
        pin_threads_to_cores()
    from mnist_core.runs.follow import follow

    with joined() as group:
        if group.main:
            _train_run(options, group)
        else:
            follow(group, options.data_dir)


def _train_run(options: argparse.Namespace, group: Group) -> None:
    from mnist_core.runs.execute import execute
    from mnist_core.runs.history import HistoryReader, latest
    from mnist_core.runs.limits import check_limits
    from mnist_core.runs.run import create_run, open_run
    from mnist_core.system.settings import data_folder

    data_dir = Path(options.data_dir) if options.data_dir else data_folder()
    if options.resume:
        if options.recipe or options.dataset or options.epochs or options.seed or options.set:
            raise ConfigError("--resume continues a run with its own settings: give no recipe, dataset or setting.")
        run = open_run(options.resume, options.runs_dir)
        if run.is_executed():
            raise ConfigError(f"The run {run.id} is being executed by another process.")
        if run.status().state == "completed":
            raise ConfigError(f"The run {run.id} is complete: there is nothing to resume.")
        run.command("run")
        config = run.config()
    else:
        config = named_config(options, data_dir, "training")
        _check_model(config, data_dir)
        check_limits([config], options.runs_dir)
        run = create_run(config, options.runs_dir, options.owner)

    with _train_progress(config.epochs) as show:
        execute(run, data_dir, show, group=group)
    status, checkpoint = run.status(), run.checkpoint()
    diagnosis = latest(HistoryReader(run).events(), "end", "diagnosis") or ""
    if status.state != "completed" or checkpoint is None:
        raise RunFailedError(" ".join(filter(None, (f"The run {run.id} is {status.state}.", status.reason, diagnosis))))
    from mnist_core.inference.interval import accuracy_text, measured_interval
    from mnist_core.models.checkpoint import read_card

    card = read_card(checkpoint)
    metrics = card.metrics
    result = {
        "run_id": run.id,
        "run_dir": str(run.folder),
        "checkpoint": str(checkpoint),
        "parameters": card.parameters,
        "val_accuracy": metrics["val_accuracy"],
        "test_accuracy": metrics.get("test_accuracy"),  # none of a search's trial
        "train_seconds": card.train_seconds,
        "diagnosis": diagnosis,
        "val_accuracy_interval": measured_interval(metrics, "val"),
        "test_accuracy_interval": measured_interval(metrics, "test"),
    }
    test, validation = (
        accuracy_text(metrics[f"{part}_accuracy"], int(metrics.get(f"{part}_images") or 0))
        if f"{part}_accuracy" in metrics
        else "not measured"
        for part in ("test", "val")
    )
    print_result(
        options,
        result,
        f"{run.id}: test accuracy {test}, validation {validation}, in brackets the 95 % intervals, "
        f"{result['parameters']:,} parameters, {result['train_seconds']:.1f} s of training on {config.dataset}.\n"
        f"The model is in {checkpoint}",
    )


def _check_model(config: TrainConfig, data_dir: Path) -> None:
    """Raises DataError, ConfigError or CheckpointError now: a wrong request is no failed run."""
    from mnist_core.data.prepare import load_for
    from mnist_core.models.classifier import build_model
    from mnist_core.training.state import load_pretrained, load_teachers

    data = load_for(config, data_dir)
    print_note(data.warning)
    shape = data.shape
    build_model(config, shape)
    if config.init_from:
        load_pretrained(config, shape, data.classes)
    load_teachers(config, shape, data.classes)


@contextlib.contextmanager
def _train_progress(epochs: int) -> Iterator[Callable[[Event], None]]:
    from tqdm import tqdm

    from mnist_core.inference.interval import accuracy_text

    images = 0  # held out
    with tqdm(total=epochs, unit="epoch", file=sys.stderr, mininterval=0.5) as bar:

        def show(event: Event) -> None:
            nonlocal images
            if event["event"] == "start":
                images = event["val_images"]
            elif event["event"] == "epoch":
                bar.update(event["epoch"] - bar.n)
                measured = accuracy_text(event["val_accuracy"], images)
                bar.set_postfix_str(f"val {measured}, loss {event['train_loss']:.4f}")
            elif event["event"] == "resume":
                bar.update(event["epoch"])

        yield show
