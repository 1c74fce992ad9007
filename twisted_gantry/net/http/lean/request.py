"""A request, and what answers it."""

from collections.abc import Collection
from typing import Protocol

from twisted.internet.defer import Deferred

from twisted_gantry.net.slots import Progress, Slot

Answer = bytes | Deferred[bytes]


class LeanRequest:
    """A whole request. `headers` has those that the handler wants, by lower-case names; one that
    comes twice has both values, joined by a comma. `body` is empty if the handler does not want it.
    `peer` is the address at the other end of the connection. `mark` is the handler's.
    """

    __slots__ = ("_slot", "body", "headers", "mark", "peer")

    def __init__(self, headers: dict[bytes, bytes], peer: str, slot: Slot | None) -> None:
        self.headers, self.peer, self._slot = headers, peer, slot
        self.body = b""
        self.mark = b""

    def proved(self) -> None:
        """Note that the request is authenticated: its connection is kept when others crowd the
        server, and its address is no stranger from now on.
        """
        if self._slot is not None and not self._slot.is_proved:
            self._slot.reached(Progress.PROVED)


class Handler(Protocol):
    """What answers the requests, each with HTTP 200 and JSON."""

    path: bytes
    wanted: Collection[bytes]
    """The headers that it wants, in lower case."""
    late: bytes
    """The answer to a request whose Deferred does not fire in time."""

    def most_body(self, request: LeanRequest) -> int:
        """Return how many bytes of the body to keep, once the headers are there. The rest of a
        longer one is dropped.
        """

    def answer(self, request: LeanRequest) -> Answer:
        """Return the answer, or a Deferred of it."""
