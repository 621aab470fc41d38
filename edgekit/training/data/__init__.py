"""Makes training samples from clips on disk, in worker processes."""
