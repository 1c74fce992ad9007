"""Writing to a socket at once, without a turn of the reactor: the answer to one small request.

Twisted gathers what is written and sends it when the reactor finds the socket writable: two calls
of the kernel more for each answer. Its transport has the sending itself under a public name, but
whether something waits under private ones. No other module touches these.
"""

from typing import Any

from twisted.internet.tcp import Connection


def write(transport: Any, data: bytes) -> None:
    """Write to a transport, at once if it is a plain socket for which nothing waits. What the
    socket does not take waits as usual. A lost connection shows as it does after `write`.
    """
    if not _is_idle(transport):
        transport.write(data)
        return
    sent = transport.writeSomeData(data)
    if type(sent) is not int or sent < 0:  # the connection is lost: the reactor will tell
        transport.write(data)
    elif sent < len(data):
        transport.write(data[sent:])


def _is_idle(transport: Any) -> bool:
    """Tell whether bytes may go past the buffers. A Twisted without one of the names, TLS, and a
    network in memory are written to as usual.
    """
    try:
        return bool(
            isinstance(transport, Connection)
            and transport.connected
            and not transport.TLS
            and not transport.dataBuffer
            and not transport._tempDataBuffer
            and not transport.disconnecting
            and not transport._aborting
            and not transport._writeDisconnected
        )
    except AttributeError:
        return False
