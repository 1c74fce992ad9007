"""The configuration file: read, checked whole, and turned into settings."""
