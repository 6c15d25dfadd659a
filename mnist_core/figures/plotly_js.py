"""The plotly.js of the installed Plotly package, for pages that draw figures themselves."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path


@cache
def plotly_js() -> Path:
    """The script's file. The package is found without being imported."""
    spec = find_spec("plotly")
    assert spec is not None  # a requirement of the lab
    assert spec.origin is not None
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


@cache
def plotly_js_name() -> str:
    """A name that is another for each version of the package, so that a browser may keep the file for ever."""
    return f"plotly-{version('plotly')}.min.js"
