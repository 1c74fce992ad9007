"""Interlocks: conditions on points that command a device without a person."""
