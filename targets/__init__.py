"""One folder per target: a format of bundles, and the inference runtimes (libraries) that run them.

In each folder ``session.py`` runs a bundle on the device, and ``export.py`` writes one on the host.
To add a target, begin with ``base``.
"""
