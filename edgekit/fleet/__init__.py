"""Collects the status messages that runs on many devices publish over MQTT."""
