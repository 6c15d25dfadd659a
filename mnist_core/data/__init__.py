"""Datasets: whatever holds labelled images → a `Dataset` of tensors in memory, its splits and its augmentation."""
