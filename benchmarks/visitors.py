"""Visitors of a running lab: WebSocket clients that speak Streamlit's protocol as a browser does, but show nothing.

A visitor opens pages, refreshes fragments as the server asks for it, presses buttons, and draws: it sends what the
canvas sends after a stroke, and waits until the answer is there. What it leaves out is the browser's own work, and the
files that a browser fetches besides (pictures, the curves of a training).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import os
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import websockets
from PIL import Image, ImageDraw
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

PAGES = ("", "draw", "train", "results", "compare", "data")
PATIENCE_SECONDS = 120.0


@dataclass
class Load:
    """What all visitors together have done. Seconds."""

    predictions: list[float] = field(default_factory=list)
    views: list[float] = field(default_factory=list)
    refreshes: int = 0
    lost: int = 0  # connections that broke: a server that was killed, or too slow
    wrong: list[str] = field(default_factory=list)  # exceptions shown on a page


class Visitor:
    """One session. `async with Visitor(url, load) as visitor: await visitor.view("draw")`."""

    def __init__(self, url: str, load: Load, chance: random.Random | None = None) -> None:
        self._url, self._load, self._chance = url.replace("http", "ws", 1), load, chance or random.Random(0)
        self._page = ""
        self._buttons: dict[str, str] = {}  # label → widget
        self._board = ("", "")  # widget and fragment of the canvas
        self._answers = 0
        self._strokes: list[dict] = []
        self._fragments: dict[str, asyncio.Task] = {}
        self._finished = asyncio.Event()
        self._sending = asyncio.Lock()  # one rerun at a time, as a person would

    async def __aenter__(self) -> Visitor:
        address = f"{self._url}/_stcore/stream"
        self._socket = await websockets.connect(
            address, subprotocols=["streamlit"], max_size=None, proxy=None, open_timeout=PATIENCE_SECONDS
        )
        self._listener = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._forget_fragments()
        self._listener.cancel()
        await self._socket.close()

    async def view(self, page: str) -> None:
        """Opens the page at that path (the first may be any, as by a link) and waits until it stands."""
        self._forget_fragments()
        self._buttons, self._board, self._strokes, self._page = {}, ("", ""), [], page
        begun = time.monotonic()
        await self._rerun()
        self._load.views.append(time.monotonic() - begun)

    async def press(self, label: str) -> bool:
        """Presses the button of that label; False where the page has none."""
        widget = self._buttons.get(label)
        if widget is None:
            return False
        await self._rerun(WidgetState(id=widget, trigger_value=True))
        return True

    async def stroke(self) -> None:
        """Draws a line more, as the canvas reports it, and waits for the answer."""
        widget, fragment = self._board
        if not widget:
            raise RuntimeError("The Draw page has no canvas.")
        self._strokes.append({"type": "path", "points": [self._chance.randint(40, 240) for _ in range(6)]})
        value = {"drawing": {"raw": {"objects": self._strokes}, "data": picture(self._strokes)}}
        before, begun = self._answers, time.monotonic()
        await self._rerun(WidgetState(id=widget, json_value=json.dumps(value)), fragment=fragment)
        if self._answers > before:
            self._load.predictions.append(time.monotonic() - begun)

    async def _rerun(self, *widgets: WidgetState, fragment: str = "", by_itself: bool = False) -> None:
        message = BackMsg()
        state = message.rerun_script
        state.widget_states.widgets.extend(widgets)
        state.fragment_id, state.is_auto_rerun = fragment, by_itself
        state.page_name = self._page
        state.context_info.color_scheme = "light"
        async with self._sending:
            self._finished.clear()
            await self._socket.send(message.SerializeToString())
            # a connection that breaks would leave us waiting for ever
            finished = asyncio.create_task(self._finished.wait())
            await asyncio.wait(
                {finished, self._listener}, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if not finished.done():
                finished.cancel()
                raise ConnectionError("The server did not finish the page.")

    async def _listen(self) -> None:
        async for content in self._socket:
            message = ForwardMsg.FromString(content)
            kind = message.WhichOneof("type")
            if kind == "delta":
                self._note(message)
            elif kind == "auto_rerun":
                self._keep_fresh(message.auto_rerun.fragment_id, message.auto_rerun.interval)
            elif kind == "script_finished":
                self._finished.set()

    def _note(self, message: ForwardMsg) -> None:
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "button":
            self._buttons[element.button.label] = element.button.id
        elif kind == "bidi_component" and "canvas" in element.bidi_component.component_name:
            self._board = element.bidi_component.id, message.delta.fragment_id
        elif kind == "bidi_component" and element.bidi_component.component_name == "mnist_lab.answer":
            self._answers += json.loads(element.bidi_component.json)["answer"] is not None
        elif kind == "exception":
            self._load.wrong.append(f"/{self._page}: {element.exception.type}: {element.exception.message[:200]}")

    def _keep_fresh(self, fragment: str, seconds: float) -> None:
        async def refresh() -> None:
            with contextlib.suppress(ConnectionError, websockets.ConnectionClosed):
                while True:
                    await asyncio.sleep(seconds)
                    await self._rerun(fragment=fragment, by_itself=True)
                    self._load.refreshes += 1

        if fragment not in self._fragments:
            self._fragments[fragment] = asyncio.create_task(refresh())

    def _forget_fragments(self) -> None:
        for task in self._fragments.values():
            task.cancel()
        self._fragments = {}


def picture(strokes: list[dict[str, Any]]) -> str:
    """What the canvas sends of 560×560 pixels: a PNG as a data URL."""
    image = Image.new("RGBA", (560, 560), "black")
    pen = ImageDraw.Draw(image)
    for stroke in strokes:
        pen.line([2 * place for place in stroke["points"]], fill="white", width=40, joint="curve")
    file = io.BytesIO()
    image.save(file, format="PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


async def look_around(url: str) -> None:
    """One person looks at everything once: models and data are then in memory, workers are there."""
    async with Visitor(url, Load()) as visitor:
        for page in PAGES:
            await visitor.view(page)
        await visitor.view("draw")
        await visitor.stroke()


async def draw_and_browse(visitor: Visitor, until: float, chance: random.Random, pause: tuple[float, float]) -> None:
    """A drawing of a few strokes, then perhaps a look at another page, again and again until the clock says `until`.

    `pause`: the shortest and longest time between two acts, in seconds.
    """
    while time.monotonic() < until:
        await visitor.view("draw")
        for _ in range(chance.randint(3, 6)):
            await asyncio.sleep(chance.uniform(*pause))
            await visitor.stroke()
        if chance.random() < 0.5:
            await visitor.view(chance.choice([page for page in PAGES if page != "draw"]))
            await asyncio.sleep(chance.uniform(*pause))


async def crowd(visitors: Iterable[Visitor], until: float, pause: tuple[float, float], seed: int = 0) -> None:
    """Lets them all come within a few seconds and draw and browse. Raises what a visitor meets."""

    async def one(visitor: Visitor, number: int) -> None:
        chance = random.Random(f"{seed}-{number}")
        await asyncio.sleep(chance.uniform(0, 5))
        await visitor.__aenter__()
        await draw_and_browse(visitor, until, chance, pause)

    await asyncio.gather(*(one(visitor, number) for number, visitor in enumerate(visitors)))


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has taken so far, all its threads; Linux only."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    """What a process holds in memory (RSS), in 10^6 bytes; Linux only."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024 / 1e6
