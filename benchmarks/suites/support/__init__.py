"""What several suites share: peers, servers, browsers and footage."""
