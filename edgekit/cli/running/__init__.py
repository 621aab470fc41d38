"""Ends a run at a signal, and prints its report or what ``--check`` found."""
