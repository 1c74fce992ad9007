"""A package for each kind of device: it reads points, and executes commands.

A driver reaches the gantry through `core.interfaces` alone; other packages may add kinds.
"""
