"""HOST. Quantizes OpenVINO models."""
