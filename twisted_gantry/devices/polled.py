"""Polling: read a device again and again, and derive its status from how the readings went.

`PolledDevice` is the public base of drivers (`docs/adding-a-device.md`, "What stays").
"""

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import urlsplit

from attrs import define, field
from msgspec import Meta
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from twisted_gantry.core.alarms import Rule
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import CommandResult, CommandType
from twisted_gantry.core.interfaces import DeviceContext, IRefreshable
from twisted_gantry.core.status import State, Status
from twisted_gantry.net.histogram import Histogram
from twisted_gantry.net.http.client import BoundedClient, persistent_pool, treq_client
from twisted_gantry.net.outage import (
    MOST_SHOWN,
    Cause,
    Outage,
    Reason,
    as_outage,
    outage,
    outage_of,
    unread,
)
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.session import Backoff
from twisted_gantry.net.timers import Repeated
from twisted_gantry.net.tls import ClientTls
from twisted_gantry.wire.quote import quote
from twisted_gantry.wire.reading import Quality, Value
from twisted_gantry.wire.secret import Secret

_log = Logger()

_MISTAKE = outage(
    Cause.LOCAL, en="the driver has a mistake: see the log", zh="驱动程序出错：见日志"
)
_UNPROVED = frozenset({State.CONNECTING, State.OFFLINE})  # states in which the pauses grow
MAX_FAILURES = 3
"""Readings in a row that fail before a device is offline."""
RETRY_FIRST, RETRY_MOST = 1.0, 60.0
"""Pauses between two attempts to reach a device that fails, in seconds."""

Patience = Annotated[float, Meta(ge=0.5, le=300)]
"""The setting `patience`: seconds for one reply."""

PollPeriod = Annotated[float, Meta(ge=0.1, le=31_536_000)]
"""The setting `poll`, in seconds."""

# Header names that HTTP itself needs, and the characters of names and values.
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[!-~]([ -~]{0,8190}[!-~])?")


@define(eq=False, slots=False)
class Poller:
    """Reads a device every `period` seconds, and keeps its `status`.

    `read` reads once and reports by `good` or `failed`; an error of it is logged, and is a reading
    that failed. It may return the pause until the next
    reading, in seconds. Otherwise the next reading begins one period after the beginning of this
    one; in a state of `backs_off` it begins after a pause that grows with each failure.

    The device is offline after `max_failures` readings in a row that failed; with `counted` the
    reason then tells how many. `losing` is called before that, to fail the points. `seconds`
    measures the readings.
    """

    _context: DeviceContext
    _status: Status
    _read: Callable[[], Coroutine[Deferred[Any], Any, float | None]]
    period: float
    _backs_off: frozenset[State] = field(default=frozenset(), kw_only=True)
    _max_failures: int = field(default=MAX_FAILURES, kw_only=True)
    _counted: bool = field(default=True, kw_only=True)
    _losing: Callable[[], object] = field(default=lambda: None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        self.failures, self.seconds, self._clock = 0, Histogram(), self._context.reactor
        self.backoff = Backoff(RETRY_FIRST, RETRY_MOST, self._context.random.random)
        self._loop = Repeated(self._clock, self._turn, f"polling {self._status.name}")
        self.stop, self.now = self._loop.stop, self._loop.now

    def start(self) -> None:
        """Begin with a reading at once; no failure counts from before."""
        self.failures = 0
        self._loop.start()

    def good(self) -> None:
        """Note a good reading: the device is online, and the next failure is the first."""
        self.backoff.reset()
        self.heard()

    def heard(self) -> None:
        """Note a sign of life that proves nothing about the readings; the back-off goes on."""
        self.failures = 0
        self._status.online()

    def failed(self, reason: Reason, *, bearable: bool = False) -> None:
        """Note a reading that failed; `bearable`: the device stays as it is all the same."""
        self.failures += 1
        reason = as_outage(reason)
        if bearable or self.failures < self._max_failures:
            self._status.error(reason)
        else:
            self.lose(reason.in_a_row(self.failures) if self._counted else reason)

    def lose(self, reason: Reason) -> None:
        self._losing()
        self._status.offline(reason)

    def attempt(self) -> Deferred[Outage | None]:
        """Read at once; fires with None after a good reading, else with what was wrong."""
        outcome = self._status.outcome()
        self.now()
        return outcome

    async def _turn(self) -> float:
        began = self._clock.seconds()
        try:
            pause = await self._read()
        except CancelledError:
            raise
        except Exception:
            _log.failure("{what} failed", what=f"polling {self._status.name}")
            self._losing()
            self.failed(_MISTAKE)
            pause = None
        took = self._clock.seconds() - began
        self.seconds.observe(took)
        if pause is not None:
            return pause
        waits = self._status.state in self._backs_off
        return self.backoff.next() if waits else self.period - took


class NotUnderstood(Exception):
    """An answer that does not decode: `why` is the error, `body` what came, which no secret of ours
    may be in.
    """

    def __init__(self, why: str, body: bytes) -> None:
        super().__init__(why)
        odd = unread(quote(body, most=MOST_SHOWN), why)
        self.outage = replace(odd, en=why) if odd.cause is Cause.MALFORMED else odd


class Refreshed:
    """Those who wait for the next reading. `now` makes that begin at once."""

    def __init__(self, now: Callable[[], object]) -> None:
        self._now = now
        self._waiting: list[Deferred[None]] = []

    def wait(self) -> Deferred[None]:
        """Ask for a reading; fires after the next one, be it good or not. See `IRefreshable`."""
        waiting: Deferred[None] = Deferred(self._forget)
        self._waiting.append(waiting)
        self._now()
        return waiting

    def done(self) -> None:
        """Note that a reading was made, or has failed."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def _forget(self, waiting: Deferred[None]) -> None:
        self._waiting.remove(waiting)


class NothingRead(Exception):
    """A reading brought nothing; the text says why, and holds no secret."""

    def __init__(self, why: Reason | Exception) -> None:
        super().__init__(str(why))
        self.outage = outage_of(why) if isinstance(why, Exception) else as_outage(why)


@implementer(IRefreshable)
class PolledDevice(NamedService):
    """The base of a driver that polls.

    A subclass names its `kind`, `points`, `rules` and `commands`, and has the methods `read`, with
    commands `do`, and with connections `close`. `troubles` are what went wrong beside the values of
    a reading, which `read` may add to: the device stays online, and its status tells them.
    """

    kind: str = ""
    points: Sequence[PointType] = ()
    rules: Sequence[Rule] = ()
    commands: Mapping[str, CommandType] = MappingProxyType({})

    def __init__(self, name: str, context: DeviceContext, poll: float) -> None:
        """Declare the points; nothing is read before the service starts. `poll` is in seconds."""
        super().__init__(name)
        self.device, self.status = name, Status(name, context.now)
        self.troubles: Sequence[Reason] = ()
        self._site_points, self._doing = context.points, set[Deferred[CommandResult]]()
        self.poller = Poller(
            context, self.status, self._read, poll, backs_off=_UNPROVED, losing=self.lose
        )
        self.poll_seconds, self.attempt = self.poller.seconds, self.poller.attempt
        self._refreshed = Refreshed(self.poller.now)
        self.refresh = self._refreshed.wait
        context.points.declare(name, self.points)

    async def read(self) -> Mapping[str, Value]:
        """Read once, and return the values by the points; None, or none at all, for what could not
        be read. Raises NothingRead.
        """
        raise NotImplementedError

    async def do(self, command: str, args: Mapping[str, Any]) -> CommandResult:
        """Do one of `commands`; the arguments were checked. It is cancelled when it expires."""
        raise NotImplementedError

    def close(self) -> Deferred[None]:
        """End the connections; the Deferred fires when they are closed."""
        return succeed(None)

    def take(self, values: Mapping[str, Value]) -> Sequence[str]:
        """Hand a reading to the points; returns why numbers were not believed."""
        update = {}
        for each in self.points:
            value = values.get(each.name)
            update[each.name] = (value, Quality.GET_FAILED if value is None else Quality.GOOD)
        return self._site_points.update(self.device, update)

    def lose(self) -> None:
        """Mark the last reading of every point as failed."""
        self._site_points.fail(self.device)

    def pause(self) -> float | None:
        """Return the seconds until the next reading, after a good one; None: the usual ones."""
        return None

    def startService(self) -> None:
        super().startService()
        self.poller.start()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self.poller.stop()
        for each in tuple(self._doing):
            each.cancel()
        return self.close()

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        doing = ensureDeferred(self.do(command, args))
        self._doing.add(doing)

        def ended(result: Any) -> Any:
            self._doing.discard(doing)
            return result

        return doing.addBoth(ended)

    async def _read(self) -> float | None:
        self.troubles = ()
        try:
            values = await self.read()
        except NothingRead as error:
            if self.running:
                self.lose()
                self.poller.failed(error.outage)
            return None
        finally:
            self._refreshed.done()
        troubles = [*self.troubles, *self.take(values)]
        self.poller.good()
        if troubles:
            self.status.error(_first_of(troubles))
        return self.pause()


def _first_of(troubles: Sequence[Reason]) -> Outage:
    """Return the first trouble, and how many more there are."""
    first, text = troubles[0], gist([str(each) for each in troubles])
    if isinstance(first, Outage):
        return replace(first, en=text)
    return outage(Cause.MALFORMED, text, en=text)


def gist(reasons: Sequence[str]) -> str:
    """Return the first of at least one reason, and how many more there are."""
    more = len(reasons) - 1
    return reasons[0] + (f", and {more} more" if more else "")


def http_client(
    context: DeviceContext, deadline: float, tls: TlsSettings | None = None, **limits: int
) -> tuple[BoundedClient, Callable[[], Deferred[None]]]:
    """Return a client with connections of its own, and what closes them; `deadline` in seconds.
    `tls`, the settings of the device, say whom https trusts.
    """
    pool = persistent_pool(context.reactor)
    treq = treq_client(context.reactor, pool, tls=ClientTls(tls, context.certificate_seen))
    client = BoundedClient(treq, context.reactor, deadline=deadline, **limits)
    return context.tap.client(client), pool.closeCachedConnections


def wrong_base_url(url: str) -> str:
    """Return what is wrong with a URL to which paths are appended; empty if nothing is."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if "@" in url:
        return "must not hold a user or a password"
    if not good or not url.isascii() or not url.isprintable() or re.search(r"[?# ]", url):
        return f"must be http(s)://host/…, without ? and #; it is {url!r}"
    return ""


def wrong_headers(headers: Mapping[str, Secret]) -> str:
    """Return what is wrong with headers that are to be sent; empty if nothing is."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
            return f"{name[:100]!r} is no name of a header that can be set"
        if not _HEADER_VALUE.fullmatch(value.reveal()):
            return f"the value of {name} is not one line of ASCII"
    return ""
