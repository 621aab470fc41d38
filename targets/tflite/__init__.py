"""TFLite, now called LiteRT."""
