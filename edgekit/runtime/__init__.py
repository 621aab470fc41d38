"""DEVICE. Processes one frame as numpy arrays: letterbox, cascade, decoding and selection.

The inference runtimes, such as ONNX Runtime, are something else: ``edgekit.targets`` calls them.
"""
