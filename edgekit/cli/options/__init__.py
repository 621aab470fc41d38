"""Defines options that several commands share, and converts their values."""
