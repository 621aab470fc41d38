"""DEVICE. ``edgekit run``: makes sources, sinks and pipelines from its options, and runs them."""
