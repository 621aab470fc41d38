"""Parts that cannot be used, to test the errors about them."""
