"""The server's half of the live chart; what the browser makes of it is for tests/e2e."""

import base64
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import plotly
import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

from mnist_core.errors import LabError
from ui.live import chart as module
from ui.live.chart import count_points, figure_json, live_chart, prepare_plotly_js

PACKAGED = Path(str(files("plotly"))) / "package_data" / "plotly.min.js"


def test_copies_the_packages_own_script_and_returns_its_url(tmp_path):
    url = prepare_plotly_js(tmp_path / "static")
    assert url == f"app/static/plotly-{plotly.__version__}.min.js"
    assert (tmp_path / "static" / Path(url).name).read_bytes() == PACKAGED.read_bytes()


def test_leaves_a_good_copy_alone_and_mends_a_torn_one(tmp_path):
    target = tmp_path / Path(prepare_plotly_js(tmp_path)).name
    before = target.stat()
    prepare_plotly_js(tmp_path)
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    target.write_bytes(b"half a scr")
    prepare_plotly_js(tmp_path)
    assert target.stat().st_size == PACKAGED.stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "static").write_text("a file where the folder should be")
    with pytest.raises(LabError, match=r"plotly\.js.*static.*[Mm]ake that folder writable"):
        prepare_plotly_js(tmp_path / "static")


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(source, target):
        Path(target).write_bytes(b"half a scr")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.shutil, "copyfile", full)
    with pytest.raises(LabError, match="No space left on device"):
        prepare_plotly_js(tmp_path)
    assert list(tmp_path.iterdir()) == []


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


def test_mounts_in_a_page_and_takes_any_figure(monkeypatch):
    monkeypatch.setattr(module, "prepare_plotly_js", lambda: "app/static/plotly.js")

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


def test_a_chart_that_cannot_be_served_says_so(monkeypatch):
    def refuse():
        raise LabError("no room")

    monkeypatch.setattr(module, "prepare_plotly_js", refuse)
    with pytest.raises(LabError, match="no room"):
        live_chart(go.Figure(), key="loss")


def test_a_chart_never_leaves_this_machine():
    """plotly.js 4 offers to post the figure to a cloud unless told not to; nor may any address be built in."""
    script = (module.HERE / "chart.js").read_text(encoding="utf-8")
    assert "showSendToCloud: false" in script
    assert "https://" not in script
    assert "//cdn" not in script
