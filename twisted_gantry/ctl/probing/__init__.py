"""One device or uplink tried without a gantry: by its own driver, with nothing around it."""
