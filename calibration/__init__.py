"""HOST. Chooses calibration frames, and preprocesses them as ``edgekit.runtime`` does."""
