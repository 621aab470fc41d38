"""HOST. Which frames calibrate a quantizer (filled by the quantization issue)."""
