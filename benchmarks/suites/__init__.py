"""Micro-benchmarks against named peers; each is run as ``python -m edgekit.benchmarks.suites.NAME``."""
