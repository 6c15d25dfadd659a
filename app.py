"""The application that `streamlit run app.py` serves: the pages, the routes beside them, and the server's own work."""

import streamlit as st

from server.routes import routes
from ui.lifespan import lifespan

app = st.App("home.py", lifespan=lifespan, routes=routes())
