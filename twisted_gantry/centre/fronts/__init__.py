"""What gantries talk to: `monitor.do` and the Fogslink cloud. Stateless but for the sessions."""
