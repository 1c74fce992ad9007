"""Polling: read a device again and again, and derive its status from how the readings went."""

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlsplit

from attrs import define, field
from msgspec import Meta
from twisted.internet.defer import Deferred

from twisted_gantry.core.interfaces import DeviceContext
from twisted_gantry.core.secret import Secret
from twisted_gantry.core.status import State, Status
from twisted_gantry.net.histogram import Histogram
from twisted_gantry.net.http.client import BoundedClient, persistent_pool, treq_client
from twisted_gantry.net.outage import MOST_SHOWN, Cause, Outage, Reason, as_outage, unread
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.net.session import Backoff
from twisted_gantry.net.timers import Repeated
from twisted_gantry.net.tls import ClientTls
from twisted_gantry.wire.quote import quote

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

    `read` reads once and reports by `good` or `failed`. It may return the pause until the next
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
        pause = await self._read()
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
