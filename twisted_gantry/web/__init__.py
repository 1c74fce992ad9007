"""What the gantry serves over HTTP, a package for each audience.

Devices and uplinks are reached through `core.interfaces` alone.
"""
