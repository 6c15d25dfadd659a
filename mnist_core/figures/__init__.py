"""Arrays in, Plotly figures out. One description of each picture, for a still chart and for a live one."""
