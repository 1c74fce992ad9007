"""The protocols, without I/O: framing, typed messages, units, error codes."""
