"""HOST. From float bundles to bundles of integers whose loss is known and bounded."""
