"""HOST. Fine-tunes a network so that rounding changes its results less."""
