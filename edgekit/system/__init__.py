"""What EdgeKit asks of the machine and of its own installation."""
