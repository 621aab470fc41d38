"""Builds reports: tables, plots and self-contained HTML pages."""
