"""The site in the protocols of neighbours. A bridge never slows or stops the gantry."""
