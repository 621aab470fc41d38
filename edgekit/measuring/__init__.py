"""Measures time and energy, and what the machine does meanwhile."""
