"""Quantizes ncnn models."""
