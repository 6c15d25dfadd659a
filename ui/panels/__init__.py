"""Parts of pages: a run, its controls, the queue, the list of runs, ablations, calibration, reproduction."""
