"""Parts that cannot be used."""
