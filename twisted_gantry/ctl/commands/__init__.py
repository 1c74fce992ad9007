"""One module for each command of `gantryctl`."""
