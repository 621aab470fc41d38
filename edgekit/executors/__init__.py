"""Runs a function over many items, such as videos or layers, in processes or on a cluster."""
