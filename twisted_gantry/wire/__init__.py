"""The protocols, without I/O: framing, typed messages, units, error codes.

Modules here import neither Twisted nor a clock; what is decoded here is checked here.
"""
