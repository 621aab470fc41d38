"""Code that several suites use: other tools, servers, browsers and footage."""
