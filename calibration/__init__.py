"""HOST. Chooses calibration frames, and preprocesses them as the runtime does."""
