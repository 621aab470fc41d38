"""Quantizes TFLite models."""
