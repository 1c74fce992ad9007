"""What the gantry knows and decides: points, alarms, commands. Pure, with the clock injected."""
