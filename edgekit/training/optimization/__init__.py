"""Optimizes a network: losses, steps, several processes, and the state of a run."""
