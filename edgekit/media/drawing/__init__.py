"""Draws tubes on frames, and the summary picture of a run."""
