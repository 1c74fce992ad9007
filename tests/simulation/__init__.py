"""A whole gantry and a whole twin in one thread, on a simulated clock."""
