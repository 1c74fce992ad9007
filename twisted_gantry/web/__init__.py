"""What a person or a program sees of the gantry over HTTP: local API, metrics, status page."""
