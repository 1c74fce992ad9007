"""Classes of threads: blocking work of one kind can starve no other kind."""

from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

InThread = Callable[..., Deferred[Any]]
"""Runs `f, *args`, which block, in a thread; the Deferred fires with the result."""


class _Pool(ThreadPool):
    # An interpreter that ends waits for no daemon thread: one may hang for good.
    threadFactory = staticmethod(partial(Thread, daemon=True))  # type: ignore[assignment]


class ThreadClass:
    """At most `most` threads for one kind of work; what comes while all are busy waits its turn.

    Threads are made when they are needed. `close` waits for none of them: what must be finished is
    awaited by those that asked for it.
    """

    def __init__(self, reactor: Any, name: str, most: int) -> None:
        self._reactor, self._pool = reactor, _Pool(0, most, name)
        self._pool.start()

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Run a blocking function; the Deferred fires with its result."""
        return deferToThreadPool(self._reactor, self._pool, function, *args)

    def close(self) -> None:
        """End idle threads now, and busy ones after their work; nothing runs after that."""
        self._pool.threads = []
        self._pool.stop()
