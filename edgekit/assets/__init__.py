"""What ships inside the package: the default model and its bundles."""
