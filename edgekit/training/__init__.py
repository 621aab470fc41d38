"""HOST. Trains the networks of ``edgekit.models`` on annotated clips."""
