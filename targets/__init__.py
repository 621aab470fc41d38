"""One folder per target: ``session.py`` runs a bundle on the device, ``export.py`` writes one."""
