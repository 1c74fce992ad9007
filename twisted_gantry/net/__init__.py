"""Twisted plumbing that knows no protocol of ours: every read bounded, timed and counted."""
