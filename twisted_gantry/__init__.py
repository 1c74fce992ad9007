"""A monitoring daemon for an ETC toll gantry, and its mirror."""

__version__ = "0.2.0"
