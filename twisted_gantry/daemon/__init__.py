"""The wiring: settings into one tree of services.

Imports the global reactor; no other room imports this one.
"""
