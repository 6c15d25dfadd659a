"""Inside: every layer as it answers a drawing, how one value is computed, and where the model looked."""

from ui import page
from ui.widgets import canvas
from ui.widgets.model import choose_model
from ui.widgets.place import read_place

page.begin("Inside", "🔬")
canvas.carry_over()
with page.errors_as_messages():
    read_place("inside", ("image", "view", "layer", "unit", "row", "column", "method", "target", "attack"))
    model = choose_model("Model", in_address=True)
    if model is not None:
        with page.loading_torch():
            from ui.panels.inside import look
        look(model)
