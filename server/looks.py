"""GET /api/runs/ID/look: a network while it trains, computed once for all who watch.

The question itself is the request that the training heeds for some seconds (mnist_core/runs/looks.py): a page that is
closed asks no more, and nothing is written.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

from server import listing
from server.errors import RequestError

_computing = threading.Lock()  # looks are computed one at a time: the training needs the cores
LONGEST_IMAGE = 20_000  # characters


def look(name: str, since: str, image: str) -> dict[str, Any]:
    """`stamp` and `shown`, the newest look as the page draws it; only the stamp where that is `since`.

    `ended` says that there will be no other. `image` is a drawing as the network reads it, pixels in base64. Raises
    RequestError.
    """
    from mnist_core.runs import looks

    run = listing.find_run(name)
    if not run.status().active:
        return {"ended": True}
    looks.ask(run)
    found = looks.newest(run)
    if found is None or found[0] == since:
        return {"stamp": found[0] if found else ""}
    with _computing:
        return {"stamp": found[0], "shown": _shown(name, found[0], image[:LONGEST_IMAGE])}


@functools.lru_cache(16)
def _shown(name: str, stamp: str, image: str) -> dict[str, Any]:
    from mnist_core.figures.packed import pixels
    from mnist_core.runs import frames, looks

    run = listing.find_run(name)
    found = looks.newest(run)
    if found is None:
        raise RequestError(404, f"There is no look at run {name} any more.")
    _, checkpoint, notes = found
    try:
        drawing = pixels(image, checkpoint.card.input_shape) if image else None
    except ValueError:
        size = "×".join(map(str, checkpoint.card.input_shape))
        raise RequestError(400, f"'image' is {size} pixels in base64, as the network reads them.") from None
    return frames.live_frame(run, checkpoint, notes, drawing)
