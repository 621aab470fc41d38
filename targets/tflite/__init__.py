"""TFLite, called LiteRT by now."""
