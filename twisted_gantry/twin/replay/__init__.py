"""Replays a recording as the device that was recorded."""
