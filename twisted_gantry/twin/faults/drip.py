"""Dripping: a message that goes out in small pieces."""

from io import BytesIO

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Cooperator
from twisted.web.client import FileBodyProducer
from twisted.web.iweb import IBodyProducer

_PIECE_S = 0.1


def piece(rate: float) -> tuple[int, float]:
    """Return the bytes of one piece at `rate` bytes/s, and the seconds until the next piece."""
    size = max(int(rate * _PIECE_S), 1)
    return size, size / rate


def dripping(body: bytes, rate: float, clock: IReactorTime) -> IBodyProducer:
    """Return a request body that goes out at `rate` bytes/s."""
    size, pause = piece(rate)
    one_at_a_time = Cooperator(
        terminationPredicateFactory=lambda: lambda: True,
        scheduler=lambda go_on: clock.callLater(pause, go_on),
    )
    return FileBodyProducer(BytesIO(body), one_at_a_time, size)
