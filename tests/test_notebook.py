"""The notebook of examples/, its code cells in order, in a process and a folder of their own."""

import json
import os
import subprocess
import sys

from tests.helpers import ROOT

NOTEBOOK = ROOT / "examples" / "train_in_a_notebook.ipynb"
PROGRAM = """
import json, pathlib, sys
names = {}
for cell in json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]), names)
answers = int(names["probabilities"].argmax()), names["prediction"].digit
losses = [event["loss"] for event in names["steps"]]
print(json.dumps([names["result"].accuracy, *answers, losses[0], losses[-1]]))
"""


def test_the_notebook_trains_and_reads_a_drawing(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(NOTEBOOK)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    accuracy, own_answer, answer, first_loss, last_loss = json.loads(done.stdout.splitlines()[-1])
    assert accuracy > 0.95
    assert (own_answer, answer) == (4, 4)
    assert last_loss < first_loss / 2
    assert list(tmp_path.iterdir()) == []


def test_the_notebook_is_short_and_holds_no_outputs():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert len(cells) < 20
    assert not any(cell.get("outputs") for cell in cells)
