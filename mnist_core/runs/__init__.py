"""A run is a folder on disk; worker processes execute it, pages and shells follow and control it."""
