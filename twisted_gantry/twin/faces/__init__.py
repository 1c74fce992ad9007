"""A package for each protocol of the world; a command to a face changes the world."""
