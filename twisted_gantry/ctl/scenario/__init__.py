"""`gantryctl scenario`: runs a scenario of the twin and judges what the gantry reports."""
