"""A relay that interrupts the power of another device."""
