"""Twisted plumbing that knows no protocol of ours; every read is bounded, timed and counted."""
