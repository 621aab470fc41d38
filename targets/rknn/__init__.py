"""The target ``rknn``: bundles for the neural processors of Rockchip's chips."""
