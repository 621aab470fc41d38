"""HOST. Networks, the operators that replace deformable convolutions, and checkpoint files."""
