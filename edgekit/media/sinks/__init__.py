"""Shows, writes and sends the results of a run."""
