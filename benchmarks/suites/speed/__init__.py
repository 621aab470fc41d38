"""How fast and how large EdgeKit is, against named peers."""
