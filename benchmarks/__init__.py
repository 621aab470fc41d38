"""HOST and DEVICE. The code behind ``edgekit bench``, and the micro-benchmarks."""
