"""The uplink to the Fogslink cloud: channel values over one TCP session."""
