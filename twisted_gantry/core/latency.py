"""Durations of polls and transactions; the histogram itself lies in `net`."""

from twisted_gantry.net.histogram import BOUNDS, Histogram

__all__ = ["BOUNDS", "Latency"]

Latency = Histogram
