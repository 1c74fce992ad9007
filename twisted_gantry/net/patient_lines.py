"""Lines of a peer that may forget to end them."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from twisted_gantry.net.timers import Timer

PATIENCE = 1.0
"""Seconds after which the whole part of a line without an end is taken."""

Whole = Callable[[bytes], int]
"""Returns how many bytes at the beginning of an unended line mean something by themselves."""


class PatientLines(LineReceiver):
    """A LineReceiver that takes what is `whole` of a line whose end does not come."""

    def __init__(self, clock: IReactorTime, whole: Whole) -> None:
        self._whole = whole
        self._rest = Timer(clock, self._take_rest)

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)  # type: ignore[no-untyped-call]
        if data.endswith(self.delimiter):
            self._rest.cancel()
        elif not self._rest.running:
            self._rest.start(PATIENCE)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.take_no_rest()
        super().connectionLost(reason)

    def take_no_rest(self) -> None:
        """Look no more at the line that is not ended."""
        self._rest.cancel()

    def _take_rest(self) -> None:
        rest = self.clearLineBuffer()  # type: ignore[no-untyped-call]
        length = self._whole(rest)
        if length:
            self.lineReceived(rest[:length])  # type: ignore[no-untyped-call]
        # What is left waits for its end.
        super().dataReceived(rest[length:])  # type: ignore[no-untyped-call]
