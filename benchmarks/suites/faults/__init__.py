"""How EdgeKit behaves when sources, outputs and the machine fail."""
