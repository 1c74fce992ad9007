"""The way to a UPS card: a session over some transport, and what a driver sees of it."""

from abc import ABC, abstractmethod
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.devices.polled import MAX_FAILURES
from twisted_gantry.net.expiry import expires
from twisted_gantry.net.outage import Cause, Outage, outage
from twisted_gantry.wire.upscard.session import Ending, Exchange, NoReply, Session, Unreachable

# Seconds that a command has, BUSY included, unless one reply may take longer.
COMMAND_DEADLINE = 5.0
GIVEN_UP = outage(Cause.OTHER, en="given up", zh="已放弃")


class LinkUnreachable(Unreachable):
    """The command was not sent, for the reason `outage`."""

    def __init__(self, outage: Outage) -> None:
        super().__init__(str(outage))
        self.outage = outage


class LinkSilent(NoReply):
    """The command was perhaps read, and no reply will come, for the reason `outage`."""

    def __init__(self, outage: Outage) -> None:
        super().__init__(str(outage))
        self.outage = outage


class Driver(Protocol):
    """What a link needs of its driver, and tells it."""

    device: str

    def password(self) -> str | None: ...  # None for none

    def new_session(self) -> str: ...

    def new_long_session(self) -> str: ...

    def link_up(self) -> None: ...  # commands can be sent from now on

    def link_down(self, reason: Outage) -> None: ...  # commands in flight end after this


class CardLink(ABC):
    """Holds the session with one card. Subclasses move its bytes. `host` is the URL for results,
    None where replies come back the way the commands went. `most_misses` is how many replies in a
    row may stay out before the driver drops the link, for `silence`. `deadline` is what a command
    has, in seconds. `counts` counts what was odd about the peer: late replies, skipped bytes, …
    """

    most_misses = MAX_FAILURES
    deadline = COMMAND_DEADLINE
    silence = outage(Cause.SILENT, en="no reply in time", zh="已连接，但管理卡未按时应答")

    def __init__(self, driver: Driver, clock: IReactorTime, host: str | None = None) -> None:
        self.driver = driver
        self.session = Session(
            self.send, clock, self.new_session, driver.password, host, self.unfinished
        )
        self.counts = self.session.counts

    def new_session(self) -> str:
        return self.driver.new_session()

    def say(
        self,
        cmd: str,
        *,
        patience: float | None = None,
        ahead: bool = False,
        new_password: str | None = None,
    ) -> Deferred[Ending]:
        """Send a command, and return how it ended; `patience` is the seconds for one reply, by
        default all that the command has. `ahead`: it does not wait behind queries. A command that
        is cancelled before it is sent is not sent; neither is one that has expired
        (`net/expiry.py`).
        """

        def withdraw(_: object) -> None:
            exchange.withdrawn = True

        def ended(ending: Ending) -> None:
            if not said.called:  # otherwise it was cancelled
                said.callback(ending)

        said: Deferred[Ending] = Deferred(withdraw)
        patience = self.deadline if patience is None else patience
        exchange = Exchange(
            cmd, ended, self.deadline, patience, ahead, new_password, until=expires()
        )
        self.session.submit(exchange)
        return said

    def opened(self) -> None:
        self.session.opened()
        self.driver.link_up()

    def closed(self, reason: Outage, *, sent: bool = True) -> None:
        """End the session; `sent`: the card may have read the command in flight."""
        self.driver.link_down(reason)
        self.session.closed(sent=sent)

    @abstractmethod
    def start(self) -> None:
        """Connect, and again whenever it must."""

    @abstractmethod
    def stop(self) -> Deferred[None]:
        """End for good."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Send the bytes of one command."""

    @abstractmethod
    def drop(self, reason: Outage = GIVEN_UP) -> None:
        """Give the connection up, for `reason`; another is made after a pause."""

    @abstractmethod
    def retry(self) -> None:
        """Try at once instead of after the pause."""

    @abstractmethod
    def proved_good(self) -> None:
        """The card answers: the next reconnection begins with the shortest pause."""

    @abstractmethod
    def unfinished(self) -> bytes:
        """Return and forget the beginning of a reply, the rest of which did not come in time."""
