"""One folder per target: a kind of device, its format of models, and the runtimes that run them.

In each folder ``session.py`` runs a bundle on the device, and ``export.py`` writes one on the host.
To add a target, begin with ``base``.
"""
