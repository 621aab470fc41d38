"""HOST. Chooses the frames that a model is calibrated with, and preprocesses them."""
