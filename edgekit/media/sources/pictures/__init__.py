"""Reads pictures: folders of them, animations, and files of several pages."""
