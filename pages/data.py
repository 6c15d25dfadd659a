"""Data: what a network learns from. Samples, means, counts and the split, pixel values, augmentation."""

import streamlit as st

from mnist_core.data.dataset import TITLES, Dataset
from mnist_core.data.loading import default_dataset, is_available
from mnist_core.data.mirrors import SOURCES
from mnist_core.recipes import get_recipe
from mnist_core.system.settings import data_folder
from ui import actions, cache, page, warmup
from ui.labels import PREPARATIONS, preparation_words
from ui.panels.data_images import augmentation, mean_per_class, samples
from ui.panels.data_pixels import pixels
from ui.panels.data_split import parts
from ui.widgets.dataset import choose_dataset, offer_download

page.begin("Data", "🗂️")


def explore(data: Dataset) -> None:
    """The whole page for one dataset."""
    shape = data.shape
    st.caption(
        f"{len(data.train_labels):,} training and {len(data.test_labels):,} test images in {shape.classes} classes, "
        f"{shape.width}×{shape.height} pixels, {'grey' if shape.channels == 1 else 'colour'}."
    )
    st.caption(preparation_words(data.preparation))
    page.show_note(data.warning)
    # 'custom' is no recipe of the Train page, so these knobs are not those
    start = get_recipe("accurate").config(data.name).replace(recipe="custom")
    left, right = st.columns([1.35, 1], gap="large")
    with left:
        samples(data)
    with right:
        mean_per_class(data)
    parts(data, start)
    pixels(data)
    augmentation(data, start)


with page.errors_as_messages():
    present = default_dataset(data_folder())
    name = choose_dataset("Dataset", present, f"data-{present}", check=False)  # it is read below, once
    offer_download(name if name in SOURCES else "mnist", "data")
    if name is not None and is_available(name, data_folder()):
        preparation = "auto"
        if name not in TITLES:
            preparation = st.segmented_control(
                "Prepare its pictures",
                list(PREPARATIONS),
                default="auto",
                required=True,
                format_func=PREPARATIONS.__getitem__,
                help="For this page. A training has the same setting, under More settings; drawings and uploads are "
                "then prepared for its model in the same way.",
                key=f"preparation-{name}",
            )
        explore(cache.dataset(name, preparation=preparation or "auto"))
# last, since all else is on the page by now
with page.errors_as_messages():
    warmup.page_sent(actions.warm)
