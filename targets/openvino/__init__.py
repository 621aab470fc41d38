"""OpenVINO, for Intel's CPUs, GPUs and NPUs."""
