"""HOST. Network definitions, deformable convolution and its lowerings, checkpoints."""
