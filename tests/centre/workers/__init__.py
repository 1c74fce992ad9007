"""The workers of the centre."""
