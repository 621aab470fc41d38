"""HOST. Which frames a model is calibrated with, and what the runtime makes of them."""
