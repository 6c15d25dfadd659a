"""GET /api/runs/ID/look: a network while it trains, computed once for all who watch.

The question itself is the request that the training heeds for some seconds (mnist_core/runs/looks.py): a page that is
closed asks no more, and nothing is written.
"""

from __future__ import annotations

import base64
import functools
import threading
from typing import TYPE_CHECKING, Any

from server import listing
from server.errors import RequestError

if TYPE_CHECKING:
    import numpy as np

    from mnist_core.config import Shape

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
    stamp, checkpoint, _ = found
    pixels = _pixels(image, checkpoint.card.shape)
    with _computing:
        return {"stamp": stamp, "shown": _shown(name, stamp, None if pixels is None else pixels.tobytes())}


@functools.lru_cache(16)
def _shown(name: str, stamp: str, pixels: bytes | None) -> dict[str, Any]:
    import numpy as np

    from mnist_core.runs import frames, looks

    run = listing.find_run(name)
    found = looks.newest(run)
    if found is None:
        raise RequestError(404, f"There is no look at run {name} any more.")
    _, checkpoint, notes = found
    drawing = None if pixels is None else np.frombuffer(pixels, np.uint8).reshape(checkpoint.card.input_shape)
    return frames.live_frame(run, checkpoint, notes, drawing)


def _pixels(image: str, shape: Shape) -> np.ndarray | None:
    """Raises RequestError for what is no image of that shape."""
    if not image:
        return None
    import numpy as np

    try:
        content = base64.b64decode(image[:LONGEST_IMAGE], altchars=b"-_", validate=True)
        return np.frombuffer(content, np.uint8).reshape(shape.channels, shape.height, shape.width)
    except ValueError:
        size = f"{shape.channels}×{shape.height}×{shape.width}"
        raise RequestError(400, f"'image' is {size} pixels in base64, as the network reads them.") from None
