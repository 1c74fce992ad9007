"""Computers other than our own: those that upload, and those of another gantry's local API."""
