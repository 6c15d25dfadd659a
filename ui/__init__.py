"""Parts of the pages that need Streamlit: menu, widgets, live charts, panels."""
