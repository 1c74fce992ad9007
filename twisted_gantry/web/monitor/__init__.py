"""`monitor.do`: the uploads of the cabinets below this gantry."""
