"""HOST. Puts EdgeKit and a bundle on devices over SSH, and measures there.

The workstation runs the system's own ``ssh`` and sends a Python program, the package
``edgekit.deploy.on_device``, to the device. The two exchange requests and answers over that
connection. The device needs an SSH server and Python, but no network and no EdgeKit.
"""
