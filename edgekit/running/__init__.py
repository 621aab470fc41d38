"""DEVICE. Runs one model on all sources of a run, and gives the results to the outputs."""
