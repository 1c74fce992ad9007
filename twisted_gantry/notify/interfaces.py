"""What this room needs of others, and what a kind of target provides."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from zope.interface import Interface

from twisted_gantry.net.outage import Outage, Reason, as_outage
from twisted_gantry.notify.notice import TimeText
from twisted_gantry.notify.plan import PlanState


class NotSent(Exception):
    """A message was not taken; `outage` says why, and holds no secret.

    `refused`: the receiver does not want this message, which is no good to send again.
    """

    def __init__(self, why: Reason, *, refused: bool = False) -> None:
        super().__init__(str(why))
        self.outage, self.refused = as_outage(why), refused


class ISender(Interface):
    """Sends messages to one receiver."""

    def send(body: bytes) -> Deferred[None]:
        """Send a message, an encoded `Message`, in bounded time. Fails with NotSent."""

    def close() -> Deferred[Any]:
        """Close what is left open."""


@dataclass(frozen=True)
class Waiting:
    """A message in the outbox: its number there, its body, and its failed tries."""

    number: int
    body: bytes
    tries: int = 0


class Outbox(Protocol):
    """The messages of one target, kept until the receiver has taken them. While the disk fails,
    memory takes its place.
    """

    def load(self) -> Deferred[PlanState]:
        """Return the state that was last kept."""

    def add(self, event: str, id: str, body: bytes, state: PlanState) -> Deferred[int]:  # noqa: A002
        """Keep a message and the state together, or neither; returns the message's number."""

    def keep(self, state: PlanState) -> Deferred[None]:
        """Keep the state."""

    def waiting(self) -> Deferred[Waiting | None]:
        """Return the oldest message that waits."""

    def delivered(self, number: int) -> Deferred[None]:
        """Remove a message that was taken."""

    def tried(self, number: int, reason: str) -> Deferred[None]:
        """Note a failed try."""

    def set_aside(self, number: int, reason: str) -> Deferred[None]:
        """Keep a refused message for a person."""


class State(Protocol):
    """The state of a target, for people: `online` and `offline(reason)` are told."""

    def online(self) -> None: ...
    def offline(self, reason: Reason) -> None: ...


class Troubles(Protocol):
    """Takes what is wrong with a target, and what is not any more."""

    def failing(self, reason: Outage | None) -> None:
        """Messages do not get through for long; None: they do again."""

    def set_aside(self, reason: Outage) -> None:
        """The receiver refused a message, which is kept for a person."""


@dataclass(frozen=True)
class Gantry:
    """Who tells: the number and the name of the gantry, and how times are written."""

    id: str
    name: str
    time: TimeText = field(repr=False)
