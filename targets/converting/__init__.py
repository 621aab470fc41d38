"""HOST. Code that exporters with a vendor's converter share."""
