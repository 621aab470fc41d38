"""The target ``qnn``: bundles for the neural processors (HTP) of Qualcomm's chips."""
