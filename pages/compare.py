"""Compare: runs side by side, what one setting changes, a search for the best settings, and the earlier systems."""

import streamlit as st

from ui import page
from ui.panels.ablation import ablation
from ui.panels.reproduction import reproduction
from ui.panels.search import search
from ui.panels.side_by_side import side_by_side
from ui.widgets.confirm import show_confirmation

page.begin("Compare", "⚖️")

# only the open tab is run: the other would read its runs for nobody
runs_tab, ablation_tab, search_tab, reproduction_tab = st.tabs(
    ["Runs side by side", "What one setting changes", "Search", "Earlier systems"],
    key="view",
    on_change="rerun",
    bind="query-params",
)
with runs_tab, page.errors_as_messages():
    if runs_tab.open:
        side_by_side()
with ablation_tab, page.errors_as_messages():
    if ablation_tab.open:
        ablation()
with search_tab, page.errors_as_messages():
    if search_tab.open:
        search()
with reproduction_tab, page.errors_as_messages():
    if reproduction_tab.open:
        reproduction()
show_confirmation()
