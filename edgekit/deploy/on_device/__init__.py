"""DEVICE. The program that a deployment sends to a device, where only Python is installed.

It imports nothing but Python's own library and itself.
"""
