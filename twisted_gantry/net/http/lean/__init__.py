"""A lean HTTP/1.1 server for one path that takes POST: what a hot path needs, and nothing else.

The requests are parsed by httptools. A request costs some twenty microseconds, a fifth of what
Twisted's own server takes (`net/http/server.py`), which serves all else. A sweep each second looks
at the deadlines of all connections in place of timers of their own.
"""
