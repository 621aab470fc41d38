"""HOST. Turns float bundles into INT8 bundles whose loss is measured and bounded."""
