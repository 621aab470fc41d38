"""HOST. Quantizes TFLite models."""
