"""Micro-benchmarks against named peers: ``python -m edgekit.benchmarks.suites.NAME``."""
