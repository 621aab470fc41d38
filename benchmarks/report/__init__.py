"""The report of ``edgekit bench`` as JSON, tables, CSV, Markdown and a page."""
