"""The lab as a person meets it: in a browser, on real MNIST and without it."""

from __future__ import annotations

import json
import re
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mnist_core.recipes import get_recipe
from mnist_core.runs.execute import execute
from mnist_core.runs.history import EventReader
from mnist_core.runs.queue import Queue
from mnist_core.runs.run import Run, create_run, list_runs
from tests.e2e.lab import SEVEN, draw, lab, settled

pytestmark = pytest.mark.browser
LOSS = "[data-testid='live-chart'][data-key='loss']"
TRAIN_POINTS = f"(document.querySelector(\"{LOSS}\")?._fullData?.find(t => t.name === 'train')?.x || []).length"


def open_page(page: Page, url: str) -> None:
    page.goto(url)
    settled(page)


def answer(page: Page):
    return page.locator("[data-testid='answer-digit']")


def badge(page: Page, word: str):
    """The word that says what the shown run does."""
    return page.locator(".stMarkdownBadge", has_text=word)


def name_of_run(page: Page, recipe: str):
    """The name of the shown run, if it is one of `recipe`; the list of earlier runs may hold such names, too."""
    return page.locator("strong", has_text=re.compile(f"^{recipe}, "))


def once(page: Page, expression: str, value: str):
    """Waits until a chart's `expression` is true, and returns what `value` is in that very moment."""
    return page.wait_for_function(f"() => ({expression}) ? [{value}] : null").json_value()[0]


@pytest.mark.parametrize(
    ("path", "sign"),
    [
        ("", "Overview"),
        ("train", "Recipe"),
        ("draw", "Brush width"),
        ("inside", "Your drawing"),
        ("results", "Accuracy"),
        ("compare", "Compare"),
        ("data", "The mean of each class"),
    ],
)
def test_a_fresh_server_answers_a_deep_link_first(path, sign, page, tmp_path, data_dir):
    with lab(tmp_path, data_dir) as fresh:
        open_page(page, f"{fresh.url}/{path}")
        expect(page.get_by_text(sign, exact=True).first).to_be_visible()
        # our own menu, and only that
        expect(page.locator("[data-testid='stPageLink']", has_text="Home").first).to_be_visible()
        expect(page.locator("[data-testid='stSidebarNav']")).to_have_count(0)
        expect(page.locator("[data-testid='stException']")).to_have_count(0)


@pytest.mark.mnist
def test_quick_trains_on_mnist_and_survives_a_reload(page, mnist_lab):
    open_page(page, f"{mnist_lab.url}/train")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("images/s")).to_be_visible()
    page.wait_for_function(f'() => document.querySelector("{LOSS}")?.dataset.points > 5')

    # in place: the very same node is drawn again and again
    chart = page.locator(LOSS).element_handle()
    draws = int(chart.get_attribute("data-draws"))
    page.wait_for_function(
        "([node, draws]) => node.isConnected && Number(node.dataset.draws) > draws + 3",
        arg=[chart, draws],
    )

    # the validation curve comes later than the other, and into the legend too
    names = page.locator(f"{LOSS} .legendtext")
    expect(names).to_have_text(["train", "validation"])

    page.reload()
    settled(page)
    expect(name_of_run(page, "quick")).to_be_visible()
    expect(badge(page, "Finished")).to_be_visible()
    expect(page.locator("[data-testid='stMetric']", has_text="Test accuracy")).to_contain_text(
        re.compile(r"9[89]\.\d\d%")
    )
    # 860 batches, drawn as at most 400 points: the last ones a moment after the words
    page.wait_for_function(f"() => ({TRAIN_POINTS}) === 400")


def begin(page, running, recipe: str) -> Run:
    """Starts a training of `recipe` and waits until the page shows that one, whatever it has shown before."""
    open_page(page, f"{running.url}/train")
    before = {run.id for run in list_runs(running.runs_dir)}
    page.get_by_role("combobox", name="Recipe").click()
    page.get_by_role("option", name=get_recipe(recipe).title).click()
    page.wait_for_url(re.compile(f"recipe={recipe}"))  # a click on Run before that would start what was chosen earlier
    settled(page)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(name_of_run(page, recipe)).to_be_visible()
    expect(badge(page, "Training")).to_be_visible()
    expect(page.get_by_text("images/s")).to_be_visible()
    (run,) = (run for run in list_runs(running.runs_dir) if run.id not in before)
    await_draws(page, 3)
    return run


def await_draws(page: Page, count: int) -> None:
    """Waits until the loss curves have been drawn `count` times more."""
    draws = int(page.locator(LOSS).get_attribute("data-draws"))
    page.wait_for_function(
        f'least => Number(document.querySelector("{LOSS}").dataset.draws) >= least', arg=draws + count
    )


@pytest.mark.mnist
def test_a_second_tab_controls_the_run(page, mnist_lab):
    run = begin(page, mnist_lab, "two-conv")

    other = page.context.new_page()
    open_page(other, f"{mnist_lab.url}/train")
    expect(name_of_run(other, "two-conv")).to_be_visible()
    other.get_by_role("button", name="Pause").click()
    expect(badge(page, "Paused")).to_be_visible()
    before = steps_done(run)
    page.wait_for_timeout(1000)
    assert steps_done(run) == before, "a paused run went on"

    page.get_by_role("button", name="Resume").click()
    expect(badge(page, "Training")).to_be_visible()
    # a page switch does not disturb it
    page.locator("[data-testid='stPageLink']", has_text="Home").first.click()
    expect(page.get_by_text("Overview")).to_be_visible()
    page.locator("[data-testid='stPageLink']", has_text="Train").first.click()
    page.get_by_role("button", name="Stop").click()
    expect(badge(page, "Stopped")).to_be_visible()
    before = once(page, f"{TRAIN_POINTS} > 0", TRAIN_POINTS)

    page.get_by_role("button", name="Continue").click()
    expect(badge(page, "Training")).to_be_visible()
    page.wait_for_function(f"before => {TRAIN_POINTS} > before", arg=before)
    page.get_by_role("button", name="Stop").click()
    expect(badge(page, "Stopped")).to_be_visible()


@pytest.mark.mnist
def test_zoom_and_hidden_curves_survive_streaming(page, mnist_lab):
    config = get_recipe("quick").config("mnist").replace(epochs=50, validations_per_epoch=10)
    Queue(mnist_lab.runs_dir).add(create_run(config, mnist_lab.runs_dir))
    open_page(page, f"{mnist_lab.url}/train")
    chart, node = page.locator(LOSS), f'document.querySelector("{LOSS}")'
    # several seconds of training, more on a busy machine
    expect(chart.locator(".legendtext", has_text=re.compile("^validation$"))).to_be_visible(timeout=120_000)
    page.add_style_tag(content=".modebar { display: none !important; }")  # it covers the legend
    box = chart.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 180, steps=5)
    page.mouse.up()
    zoomed = once(page, f"{node}.layout.xaxis.range[0] > 0", f"{node}.layout.xaxis.range.slice()")
    lines = chart.locator(".scatterlayer .trace")
    count = lines.count()
    chart.locator(".legend .traces").filter(has_text=re.compile("^train$")).locator(".legendtoggle").click()
    expect(lines).to_have_count(count - 1)
    await_draws(page, 3)
    assert page.evaluate(f"{node}.layout.xaxis.range.slice()") == zoomed
    assert page.evaluate(f"{node}.data.find(trace => trace.name === 'train').visible") == "legendonly"
    assert lines.count() == count - 1, "the other curves went, too"
    page.get_by_role("button", name="Stop").click()
    expect(badge(page, "Stopped")).to_be_visible()


EVENTS = "**/api/runs/*/events*"


@pytest.mark.mnist
def test_curves_go_on_where_the_way_to_their_feed_is_closed(page, mnist_lab):
    page.route(EVENTS, lambda route: route.fulfill(status=403, body="no"))
    begin(page, mnist_lab, "accurate")  # which waits for three draws
    await_draws(page, 10)  # by reruns, four a second
    page.get_by_role("button", name="Stop").click()
    expect(badge(page, "Stopped")).to_be_visible()


@pytest.mark.mnist
def test_a_lost_connection_comes_back_by_itself(page, mnist_lab):
    asked = []

    def lose_the_first_two(route) -> None:
        asked.append(route.request.url)
        if len(asked) > 2:
            route.continue_()
        elif len(asked) == 2:
            route.abort("connectionreset")
        else:
            route.fulfill(status=200, content_type="text/event-stream", body="retry: 100\n\n")

    page.route(EVENTS, lose_the_first_two)
    begin(page, mnist_lab, "accurate")
    assert len(asked) == 3
    assert len(set(asked)) == 1
    before = page.evaluate(TRAIN_POINTS)
    page.wait_for_function(f"before => {TRAIN_POINTS} > before", arg=before)
    page.get_by_role("button", name="Stop").click()
    expect(badge(page, "Stopped")).to_be_visible()


@pytest.mark.mnist
def test_a_hidden_page_listens_to_nothing(page, mnist_lab):
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/events?" in request.url else None)
    begin(page, mnist_lab, "accurate")
    assert len(asked) == 1, "the charts and the progress share one connection"
    hide = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
    hide += " document.dispatchEvent(new Event('visibilitychange')); }"
    page.evaluate(hide, True)
    page.wait_for_timeout(500)
    draws = page.locator(LOSS).get_attribute("data-draws")
    page.wait_for_timeout(3000)
    assert page.locator(LOSS).get_attribute("data-draws") == draws
    page.evaluate(hide, False)
    await_draws(page, 2)
    assert len(asked) == 2
    page.get_by_role("button", name="Stop").click()
    expect(badge(page, "Stopped")).to_be_visible()


def test_a_drawn_seven_is_read_and_survives_a_page_switch(page, bare_lab):
    open_page(page, f"{bare_lab.url}/draw")
    expect(answer(page)).to_contain_text("Draw a digit")
    draw(page, SEVEN)
    expect(answer(page)).to_have_text("7")
    expect(page.get_by_text("What the model sees: ")).to_be_visible()
    shown = "JSON.stringify([...document.querySelectorAll('.answer-bars li')].map(bar => bar.dataset.value))"
    read = "document.querySelector(\"[data-testid='answer'][data-source='page']\")?.dataset.digit === '7'"
    seven = once(page, read, shown)
    assert len(json.loads(seven)) == 10

    page.locator("[data-testid='stPageLink']", has_text="Home").first.click()
    expect(page.get_by_text("Overview")).to_be_visible()
    page.locator("[data-testid='stPageLink']", has_text="Draw").first.click()
    expect(answer(page)).to_have_text("7")

    # a second stroke changes the answer, Undo takes it back, Clear takes all
    assert once(page, read, shown) == seven
    draw(page, [[(60, 220), (240, 220), (60, 120)]])
    page.locator("[data-testid='answer'][data-source='page'][data-strokes='2']").wait_for()
    assert page.evaluate(shown) != seven
    page.get_by_role("button", name="Undo").last.click()
    expect(answer(page)).to_have_text("7")
    page.get_by_role("button", name="Clear").last.click()
    expect(answer(page)).to_contain_text("Draw a digit")


def test_uploads_are_read_or_refused_with_a_sentence(page, bare_lab, tmp_path):
    from PIL import Image, ImageDraw

    photo = Image.new("L", (400, 300), 200)
    ImageDraw.Draw(photo).line([(150, 80), (250, 80), (190, 230)], fill=30, width=14)
    photo.save(tmp_path / "seven.png")
    (tmp_path / "text.png").write_text("this is no picture")
    (tmp_path / "empty.png").write_bytes(b"")

    open_page(page, f"{bare_lab.url}/draw")
    page.get_by_role("radio", name="Upload").or_(page.get_by_text("Upload", exact=True)).first.click()
    page.locator("input[type=file]").set_input_files(tmp_path / "seven.png")
    expect(answer(page)).to_have_text("7")
    for bad in ("text.png", "empty.png"):
        page.locator("input[type=file]").set_input_files(tmp_path / bad)
        expect(page.locator("[data-testid='stAlert']")).to_be_visible()
        expect(answer(page)).to_contain_text("Upload a photo")
        expect(page.locator("[data-testid='stException']")).to_have_count(0)


@pytest.mark.mnist
def test_clicking_a_confusion_cell_shows_its_images(page, mnist_lab):
    open_page(page, f"{mnist_lab.url}/results")
    expect(page.locator("[data-testid='stMetric']", has_text="Accuracy")).to_contain_text("99.")
    plot = page.locator(".js-plotly-plot", has=page.locator(".heatmaplayer")).first
    expect(plot.locator(".scatterlayer .points path")).to_have_count(100)
    settled(page)
    # the cell "true 4, predicted 4" is the middle of the diagonal
    point = plot.locator(".scatterlayer .points path").nth(44).bounding_box()
    page.mouse.click(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    expect(page.get_by_text(re.compile(r"\d+ × 4 read as 4"))).to_be_visible()
    expect(page.locator("[data-testid='stImage']").first).to_be_visible()

    page.get_by_role("combobox", name="Predicted").click()
    page.keyboard.type("9")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile(r"\d+ × 4 read as 9"))).to_be_visible()


def test_without_mnist_the_lab_says_so_and_trains_on_digits(page, bare_lab):
    open_page(page, f"{bare_lab.url}/train")
    expect(page.get_by_text("MNIST is not on this machine yet.")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(badge(page, "Finished")).to_be_visible()
    expect(page.get_by_text("images of digits")).to_be_visible()
    page.locator("[data-testid='stPageLink']", has_text="See where it fails").click()
    expect(page.get_by_role("combobox", name="Test images of")).to_have_value(re.compile("^digits"))
    expect(page.locator("[data-testid='stMetric']", has_text="Accuracy")).to_contain_text(
        re.compile(r"(9\d\.\d\d|100\.00)%")
    )


def test_runs_are_compared_by_a_deep_link_and_taken_along(page, tmp_path, chromium_path):
    with lab(tmp_path, tmp_path / "no-data") as fresh:
        runs = []
        for dropout in (0.0, 0.5):
            run = create_run(get_recipe("quick").config("digits").replace(epochs=2, dropout=dropout), fresh.runs_dir)
            execute(run)
            runs.append(run)
        newest = max(runs, key=lambda run: run.id)  # both may have begun in the same second
        open_page(page, f"{fresh.url}/compare?runs={runs[0].id},{runs[1].id}")
        chart = "document.querySelector(\"[data-key='compare-loss']\")"
        page.wait_for_function(f"() => {chart}?._fullData?.length === 6")  # raw, smoothed, validation
        expect(page.get_by_text(re.compile("dropout 0.5"))).to_be_visible()
        assert page.evaluate(f"{chart}._fullLayout.yaxis.type") == "linear"
        page.get_by_text("Logarithmic y-axis").click()
        page.get_by_role("radio", name="seconds").click()
        page.wait_for_function(
            f"() => {chart}._fullLayout.yaxis.type === 'log' && /seconds/.test({chart}._fullLayout.xaxis.title.text)",
        )
        with page.expect_download() as download:
            page.get_by_role("button", name="Everything (JSON)").click()
        exported = json.loads(Path(download.value.path()).read_text())
        assert [run["run_id"] for run in exported["runs"]] == [run.id for run in runs]
        assert exported["differing"] == ["dropout"]

        open_page(page, f"{fresh.url}/train")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download bundle").click()
        with zipfile.ZipFile(download.value.path()) as archive:
            assert json.loads(archive.read("config.json")) == newest.config().model_dump(mode="json")


def test_an_ablation_is_planned_watched_and_answered(page, tmp_path, chromium_path):
    with lab(tmp_path, tmp_path / "no-data") as fresh:
        open_page(page, f"{fresh.url}/compare?view=What+one+setting+changes")
        epochs = page.get_by_role("spinbutton", name="Epochs")
        epochs.fill("1")
        epochs.press("Enter")
        settled(page)
        expect(page.get_by_text("9 runs")).to_be_visible()
        expect(page.get_by_text(re.compile(r"About \d+ s on this machine"))).to_be_visible()
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_role("button", name="Cancel")).to_be_visible()
        expect(page.get_by_text("9 of 9 runs ended")).to_be_visible()
        expect(page.get_by_text(re.compile("paired t-test over 3 seeds"))).to_have_count(2)
        chart = page.locator("[data-testid='live-chart'][data-key^='study-']")
        expect(chart).to_have_attribute("data-points", "9")  # three means of one epoch, three bands around them
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_a_failed_download_leaves_nothing_and_says_what_to_do(page, tmp_path, monkeypatch, chromium_path):
    class Garbage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 1000)

        def log_message(self, *_: object) -> None:
            pass

    mirror = ThreadingHTTPServer(("127.0.0.1", 0), Garbage)
    threading.Thread(target=mirror.serve_forever, daemon=True).start()
    # one mirror refuses the connection, the other sends something else
    monkeypatch.setenv("MNIST_LAB_MIRRORS", f"http://127.0.0.1:1/ http://127.0.0.1:{mirror.server_port}/")
    try:
        with lab(tmp_path, tmp_path / "data") as running:
            open_page(page, running.url)
            page.get_by_role("button", name="Download MNIST").click()
            expect(page.locator("[data-testid='stAlert']")).to_contain_text("try again", ignore_case=True)
            # the page stays usable, and says again what is missing
            expect(page.get_by_role("button", name="Download MNIST")).to_be_enabled()
    finally:
        mirror.shutdown()
        mirror.server_close()
    left = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and path.stat().st_size]
    assert not left


@pytest.mark.mnist
def test_keys_pause_and_step_and_changes_mark_the_curves(page, mnist_lab):
    run = begin(page, mnist_lab, "two-conv")

    # a letter or a space in a field is text
    seed = page.get_by_role("spinbutton", name="Seed")
    seed.click()
    page.keyboard.press("Space")
    page.keyboard.press("s")
    page.wait_for_timeout(1500)
    assert run.control().command == "run"
    assert run.control().steps == ()
    seed.press("Escape")
    page.locator("h1").click()

    page.keyboard.press("Space")
    expect(badge(page, "Paused")).to_be_visible()
    before = steps_done(run)
    page.evaluate("window.scrollTo(0, 0)")
    for expected in (before + 1, before + 2):
        page.keyboard.press("s")
        deadline = time.monotonic() + 30
        while steps_done(run) < expected and time.monotonic() < deadline:
            page.wait_for_timeout(50)
        expect(badge(page, "Paused")).to_be_visible()
        assert steps_done(run) == expected

    page.get_by_role("button", name="Change").click()
    panel = page.locator("[data-testid='stPopoverBody']")
    rate = panel.get_by_role("slider", name="Learning rate")
    rate.focus()
    rate.press("ArrowRight")
    page.keyboard.press("Space")
    page.wait_for_timeout(1500)
    assert run.control().command == "pause", "space on a slider is not for the run"
    panel.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("From the next batch on: learning rate 0.002.")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("s")
    label = page.locator(f"{LOSS} .annotation-text")
    expect(label).to_have_text("lr 0.001 → 0.002")
    expect(page.locator(f"{LOSS} .shapelayer path")).to_have_count(1)

    # on a focused button the key does what it does elsewhere, once
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    # the feed tells of the pause within a second, and the page runs again: a key that falls into this may be lost
    page.wait_for_timeout(1500)
    settled(page)
    page.get_by_role("button", name="Step batch").focus()
    page.keyboard.press("Space")
    expect(badge(page, "Training")).to_be_visible()
    assert page.evaluate("window.scrollY") == 0
    assert run.control().steps == ()
    page.get_by_role("button", name="Stop").click()
    expect(badge(page, "Stopped")).to_be_visible()
    page.get_by_role("button", name="Evaluate on test").click()
    expect(page.locator("[data-testid='stMetric']", has_text="Test accuracy")).to_be_visible()
    # the mark stays with the ended run
    expect(label).to_have_text("lr 0.001 → 0.002")


def steps_done(run: Run) -> int:
    return max((event["step"] for event in EventReader(run).read() if event["event"] == "step"), default=0)
