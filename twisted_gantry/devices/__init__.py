"""A package for each kind of device. A driver reads points and executes commands.

It reaches the gantry through `core.interfaces` alone. Other packages may add kinds.
"""
