"""Who may do what: passwords, secrets, roles. Knows neither the web nor the centre."""
