"""Code for the servers of the live page and of the metrics: addresses, access and headers."""
