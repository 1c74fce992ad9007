"""`gantryctl centre`: the centre of many gantries, through its HTTP API."""
