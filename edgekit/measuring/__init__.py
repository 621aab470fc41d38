"""Measures time, energy, and the load of the machine during a measurement."""
