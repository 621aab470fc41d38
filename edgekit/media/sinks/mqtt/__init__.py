"""Sends tubes to an MQTT broker."""
