"""Quantizes OpenVINO models."""
