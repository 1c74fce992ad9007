"""One module a destination: what is reported to it, and how nothing is lost on the way."""
