"""Runs ``edgekit bench``; ``suites`` has comparisons with other tools."""
