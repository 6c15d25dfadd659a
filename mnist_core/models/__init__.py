"""Models: the registry of architectures, the classifier around them, and checkpoints on disk with their cards."""
