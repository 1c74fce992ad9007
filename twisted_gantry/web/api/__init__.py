"""The local API: JSON for `gantryctl`, the status page and other programs."""
