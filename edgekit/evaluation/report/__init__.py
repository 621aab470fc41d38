"""The report of ``edgekit eval --report``, as JSON or as a page."""
