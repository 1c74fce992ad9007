"""Reports, states, alarms and the registry in SQL; both engines run the same statements."""
