"""Questions over many runs: ablations, comparisons, reproductions, speed; and the export of a run."""
