"""What the kinds have in common whose points the settings describe, rather than a driver."""
