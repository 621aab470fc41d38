"""How accurate EdgeKit is, under load, at other rates, quantized and exported."""
