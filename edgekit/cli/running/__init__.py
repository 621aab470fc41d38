"""Runs all sources of one ``edgekit run``, and reports how they went."""
