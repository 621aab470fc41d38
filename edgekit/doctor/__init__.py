"""Finds out which packages and devices of this machine EdgeKit can use."""
