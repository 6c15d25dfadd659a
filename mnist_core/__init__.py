"""Everything the lab does, without a screen: configuration, data, models, training, runs, evaluation, drawing."""

import os

# How long a thread of torch spins at a barrier before it sleeps. GNU OpenMP's own choice spins so long that beside
# other work (a browser, a second session) a training took almost twice as long; not to spin at all costs half as much
# again when alone. It is read when torch is loaded, so this is the place for it.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
