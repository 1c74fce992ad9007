"""Peers of the benchmarks: small programs by other means, each as fast as it can honestly be."""
