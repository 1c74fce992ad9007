"""The simulated counterpart of the gantry: every protocol from the other side, out of one world.

Imports `wire` and `net` alone, so that a mistake in the gantry cannot hide in its mirror.
"""
