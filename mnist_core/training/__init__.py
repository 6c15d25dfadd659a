"""Training: a TrainConfig and a Dataset → a stream of events. Knows no run folder and no process."""
