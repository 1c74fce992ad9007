"""The UPSes of the site for Network UPS Tools: the server that `upsmon` and its like log in to."""
