"""HOST. Networks, deformable convolution with its lowerings, and checkpoint files."""
