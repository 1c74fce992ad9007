"""One module a kind of device: each reads points, and executes commands."""
