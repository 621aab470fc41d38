"""HOST. Post-training quantization, per target (filled by the quantization issue)."""
