"""One attempt to connect: a protocol that is connected, or why there is none."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory

from twisted_gantry.net.outage import Reason, as_outage, no_connection_within, outage_of


class NotReached(Exception):
    """There was no connection; nothing was sent."""

    def __init__(self, why: Reason) -> None:
        super().__init__(str(why))
        self.outage = as_outage(why)


async def connected(
    endpoint: IStreamClientEndpoint, make: Callable[[], Any], clock: IReactorTime, seconds: float
) -> Any:
    """Return the protocol that `make` returns, once it is connected. Raises NotReached."""
    factory = Factory.forProtocol(make)
    factory.noisy = False
    attempt: Deferred[Any] = endpoint.connect(factory)
    try:
        return await attempt.addTimeout(seconds, clock)
    except CancelledError:
        raise
    except TooLate:
        raise NotReached(no_connection_within(seconds)) from None
    except Exception as error:  # endpoints are plugins, and fail in many ways
        found = outage_of(error)
        raise NotReached(replace(found, en=f"no connection: {found.en}")) from None
