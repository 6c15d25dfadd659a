"""Charts that move by themselves while a training runs."""
