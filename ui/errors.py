"""What a page shows for an error that nobody expected: a sentence with an id, by which the log tells the rest."""

from __future__ import annotations

import logging
import secrets

import streamlit as st

_log = logging.getLogger("mnist_lab")


def show_error(error: Exception) -> bool:
    """Logs the traceback under a short id and shows a sentence with that id in its place: see `st.App`."""
    name = secrets.token_hex(3)
    _log.error("Error %s on a page", name, exc_info=error)
    st.error(
        f"Something went wrong here that the lab did not expect (error {name}). Reload the page to go on: runs and "
        f"models are on disk. The server's log tells more under {name}.",
        icon=":material/error:",
    )
    return True
