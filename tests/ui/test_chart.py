"""The server's half of the live chart; what the browser makes of it is for tests/e2e."""

import base64
import json
import time

import numpy as np
import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

from ui.live import chart as module
from ui.live.chart import count_points, figure_json


def test_figure_travels_without_template_and_with_its_numbers():
    losses = np.array([2.3, 0.7, 0.1])
    figure = go.Figure(go.Scatter(y=losses, name="training loss"))
    figure.update_layout(title="Loss")
    spec = json.loads(figure_json(figure))
    assert "template" not in spec["layout"]
    assert spec["layout"]["title"]["text"] == "Loss"
    packed = spec["data"][0]["y"]
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"]), losses)
    assert figure.layout.template.layout.colorway, "the caller's figure keeps its template"


@pytest.mark.parametrize(
    ("traces", "points"),
    [
        ([], 0),
        ([go.Scatter(y=[1, 2, 3]), go.Scatter(x=np.arange(5), y=np.arange(5))], 8),
        ([go.Heatmap(z=np.zeros((10, 10)), x=list(range(10)))], 100),
        ([go.Bar(x=["a", "b"], y=[1, 2]), go.Pie(values=[1, 2, 3])], 5),
        ([go.Scatter()], 0),
    ],
)
def test_points_are_counted_over_all_traces(traces, points):
    assert count_points(go.Figure(traces)) == points


def test_mounts_in_a_page_and_takes_any_figure():
    def page():
        import plotly.graph_objects as go

        from ui.live.chart import live_chart

        live_chart(go.Figure(go.Scatter(y=[1, 2])), key="loss")
        live_chart(go.Figure(go.Heatmap(z=[[1, 2]])), key="confusion", height=400)

    at = AppTest.from_function(page, default_timeout=30).run()
    assert not at.exception
    sent = [json.loads(element.proto.json) for element in at.main.children.values()]
    assert [(data["key"], data["height"], data["points"]) for data in sent] == [
        ("loss", 320, 2),
        ("confusion", 400, 2),
    ]


def test_a_feed_that_was_closed_is_tried_again_later():
    def page():
        import streamlit as st

        from ui.live.chart import feed_path

        st.text(feed_path("run", ["a", "b"]))

    at = AppTest.from_function(page, default_timeout=30).run()
    assert at.text[0].value == "api/runs/run/events?view=curves&behind=a,b"
    at.session_state[module.CLOSED] = time.monotonic()
    assert at.run().text[0].value == "None"
    at.session_state[module.CLOSED] = time.monotonic() - module.CLOSED_SECONDS
    assert at.run().text[0].value != "None"


def test_a_chart_never_leaves_this_machine():
    """plotly.js 4 offers to post the figure to a cloud unless told not to; nor may any address be built in."""
    script = "".join((module.HERE / name).read_text(encoding="utf-8") for name in ("chart.js", "points.js"))
    assert "showSendToCloud: false" in script
    assert "https://" not in script
    assert "//cdn" not in script


def test_what_is_picked_is_heard_and_the_chart_says_what_it_is():
    def page():
        import plotly.graph_objects as go

        from ui.live.chart import Picks, live_chart

        picks = Picks(lambda said: None, lasso=True, images="lab/images/x", alt="Three points")
        live_chart(go.Figure(go.Scattergl(x=[1, 2, 3], y=[1, 2, 3])), key="points", picks=picks)
        live_chart(go.Figure(go.Scatter(y=[1, 2])), key="plain")

    at = AppTest.from_function(page, default_timeout=30).run()
    assert not at.exception
    points, plain = [json.loads(element.proto.json) for element in at.main.children.values()]
    assert [points[name] for name in ("picks", "images", "alt")] == ["lasso", "lab/images/x", "Three points"]
    assert "picks" not in plain
