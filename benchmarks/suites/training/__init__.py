"""Suites that measure training."""
