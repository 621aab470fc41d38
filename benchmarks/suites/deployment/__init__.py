"""Experiments with ``edgekit deploy`` on simulated devices."""
