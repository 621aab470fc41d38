"""Builds and checks what a release consists of: ``make release``, described in docs/releasing.md.

These modules run from a checkout and are no part of the wheel.
"""
