"""Extends EdgeKit; pyproject.toml lists the parts."""
