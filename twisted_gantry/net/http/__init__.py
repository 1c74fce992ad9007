"""HTTP client and server with bounds on size, time and number of connections."""
