"""Tells what an evaluation's figures are made of: errors by kind, groups, curves, early labels."""
