"""Who is called about an alarm, and how. Knows neither the web nor the core nor the centre."""
