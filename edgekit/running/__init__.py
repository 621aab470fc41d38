"""DEVICE. Runs ``edgekit run``: makes its sources, sinks and pipelines, and runs them."""
