"""A package for each destination: what is reported to it, and how no report is lost.

A report is stored before it is sent, and is deleted on its acknowledgement alone.
"""
