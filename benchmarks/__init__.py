"""The code behind ``edgekit bench``, and comparisons with other tools (``suites``)."""
