"""The loop of the reactor without a log context for each event of a socket.

Twisted sets up a context around each read and write, so that legacy log lines name the connection.
Ours do so by themselves, and the context costs as much as the parsing of a small message. An error
is logged by Twisted all the same. No other module touches these private names.
"""

import errno
from typing import Any

from twisted.internet.epollreactor import EPollReactor


def make_lean(reactor: Any) -> bool:
    """Let an epoll reactor serve its events without contexts; call this before it runs. Returns
    False, and does nothing, for another reactor, or a Twisted without one of the names.
    """
    if type(reactor) is not EPollReactor:
        return False
    try:
        poll, selectables = reactor._poller.poll, reactor._selectables
        serve: Any = reactor._doReadOrWrite
        whole = EPollReactor.doIteration is EPollReactor.doPoll
    except AttributeError:
        return False
    if not whole:
        return False

    def iterate(timeout: float | None) -> None:
        try:
            events = poll(-1 if timeout is None else timeout, len(selectables))
        except OSError as error:
            if error.errno == errno.EINTR:
                return
            raise
        for number, event in events:
            selectable = selectables.get(number)
            if selectable is not None:  # else closed by an event of this turn
                serve(selectable, number, event)

    loop: Any = reactor
    loop.doIteration = iterate
    return True
