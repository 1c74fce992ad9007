"""Fault injection for the faces: settings, and their effect on sessions and HTTP exchanges."""
