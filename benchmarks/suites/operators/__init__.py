"""Experiments on the operators that networks are made of."""
