"""Uplinks: a package for each destination.

A report is stored before it is sent, and is deleted on its acknowledgement alone.
"""
