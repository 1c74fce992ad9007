"""Many simulated gantries in one process, to load a platform and a cloud."""
