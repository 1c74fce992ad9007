"""Scenarios: what happens in the world over time, and what a gantry must report by when."""
