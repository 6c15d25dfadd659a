"""What the pages share and only Streamlit needs: menu, drawing canvas, live chart."""
