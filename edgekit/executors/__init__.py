"""Runs a function over independent items, in processes or on a cluster: videos, layers."""
