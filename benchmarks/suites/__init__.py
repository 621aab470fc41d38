"""Micro-benchmarks against other tools: ``python -m edgekit.benchmarks.suites.TOPIC.NAME``."""
