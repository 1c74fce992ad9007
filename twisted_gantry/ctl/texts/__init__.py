"""What `gantryctl` says, in English and in Chinese."""
