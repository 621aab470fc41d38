"""The target ``ncnn``: bundles for ncnn on small ARM boards and other CPUs."""
