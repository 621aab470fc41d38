"""HOST. What exporters share that use a converter of a vendor."""
