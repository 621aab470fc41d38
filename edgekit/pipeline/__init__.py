"""DEVICE. Runs detector and linker on the frames of a source, and passes results to sinks."""
