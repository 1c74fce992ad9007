"""A UPS with a CLOUD management card, over TCP or over HTTP with a callback."""
