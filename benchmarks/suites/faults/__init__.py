"""Observes what EdgeKit does when sources, outputs or the machine fail."""
