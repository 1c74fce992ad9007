"""The management card of a UPS as a peer, over TCP and over HTTP with a callback."""
