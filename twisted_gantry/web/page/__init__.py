"""The status page: static files that read the local API."""
