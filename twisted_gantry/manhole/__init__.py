"""A Python prompt inside the running daemon, for people whose keys are listed."""
