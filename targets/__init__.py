"""One folder per target. A target is a format of bundles; a runtime is a library that runs them.

In each folder ``session.py`` runs a bundle on the device, and ``export.py`` writes one on the host.
To add a target, begin with ``base``.
"""
