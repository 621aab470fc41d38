"""What the servers of the live page and of the metrics share: addresses, access and headers."""
