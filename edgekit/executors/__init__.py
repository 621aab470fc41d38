"""Executors for maps over independent items: the videos of a dataset, the layers of a model."""
