"""The target ``openvino``: bundles for OpenVINO on Intel's CPUs, GPUs and NPUs."""
