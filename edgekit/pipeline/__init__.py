"""DEVICE. Takes frames in order from their source through detector and linker into the sinks."""
