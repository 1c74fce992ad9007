"""`gantryctl`: the command line, a client of the local API."""
