"""The Fogslink cloud protocol: messages, and the session of each side as a state machine."""
