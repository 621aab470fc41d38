"""The target ``tflite``: bundles for TFLite (now LiteRT) on phones and small boards."""
