"""The application that `streamlit run app.py` serves: the pages, the routes beside them, and the server's own work."""

import streamlit as st
from starlette.middleware import Middleware

from server.headers import SecurityHeaders
from server.nodelay import NoDelay
from server.routes import routes
from ui.errors import show_error
from ui.lifespan import lifespan

app = st.App(
    "home.py",
    lifespan=lifespan,
    on_script_error=show_error,
    routes=routes(
        allowed_hosts=st.get_option("server.allowedHosts"),
        base_url=st.get_option("server.baseUrlPath"),
        allowed_origins=st.get_option("server.corsAllowedOrigins"),
    ),
    middleware=[Middleware(NoDelay), Middleware(SecurityHeaders)],
)
