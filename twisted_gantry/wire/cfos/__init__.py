"""The HTTP API of a cFos Charging Manager, shared by the driver and the twin."""
