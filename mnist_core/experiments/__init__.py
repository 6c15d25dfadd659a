"""Questions over many runs: ablations, comparisons, reproductions, speed; and a run to take along."""
