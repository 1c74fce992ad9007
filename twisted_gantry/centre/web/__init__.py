"""What people and programs talk to: the local API, its stream, metrics and the page."""
