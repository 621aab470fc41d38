"""Measures EdgeKit's accuracy: under load, at other rates, quantized and exported."""
