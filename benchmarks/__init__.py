"""HOST and DEVICE. The harness behind ``edgekit bench``, and the micro-benchmarks."""
