"""The application that `streamlit run app.py` serves: the pages, the routes beside them, and the server's own work."""

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from server.headers import SecurityHeaders
from server.nodelay import NoDelay
from server.routes import routes
from server.scripts import StreamlitFiles
from ui import warmup
from ui.errors import show_error
from ui.lifespan import lifespan

BASE = st.get_option("server.baseUrlPath")
STATIC = Path(st.__file__).parent / "static" / "static"  # what Streamlit sends as /static

app = st.App(
    "home.py",
    lifespan=lifespan,
    on_script_error=show_error,
    routes=routes(
        allowed_hosts=st.get_option("server.allowedHosts"),
        base_url=BASE,
        allowed_origins=st.get_option("server.corsAllowedOrigins"),
    ),
    middleware=[
        Middleware(NoDelay),
        Middleware(SecurityHeaders),
        Middleware(warmup.Expect),
        Middleware(StreamlitFiles, folder=STATIC, base_url=BASE),
    ],
)
