"""The Fogslink cloud of the centre: all sessions of one front, and what bounds them."""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IAddress, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger

from twisted_gantry.centre.fronts.cloud_book import CloudBook
from twisted_gantry.centre.fronts.cloud_reports import report_of
from twisted_gantry.centre.fronts.cloud_session import DeviceSession
from twisted_gantry.centre.interfaces import IReportStore
from twisted_gantry.centre.registry import Entry, Registry
from twisted_gantry.centre.store.channel_wishes import ChannelWish
from twisted_gantry.centre.store.cloud_sessions import Opened
from twisted_gantry.net.addresses import host_of
from twisted_gantry.net.listener import Listener
from twisted_gantry.net.open_files import open_files
from twisted_gantry.net.patient_lines import PATIENCE
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.net.slots import EVERYBODY, Allowed, Slots
from twisted_gantry.net.timers import GuardedLoop
from twisted_gantry.wire.fogslink import messages
from twisted_gantry.wire.fogslink.cloud import SILENCE
from twisted_gantry.wire.fogslink.messages import Configure, FogslinkCode, Pack, Single

_log = Logger()

SWEEP_S = 1.0
GRACE_S = 5.0
"""Seconds in which a front that stops answers what waits for its commit."""
SPARE_FILES = 4000
"""Files and sockets that the rest of the process may have: `monitor.do` with its connections."""
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class CloudLimits:
    """How many `connections` a front has, fewer where the limit of open files is low; how many of
    one address, and (all but `reserved`) of all strangers, may be without a login.
    """

    connections: int = 20_000
    per_address: int = 256
    reserved: int = 1000


class CloudFront(ServiceGroup):
    """Listens on `endpoint`, of the text `place`. `front` names this process and start; `now`
    returns Unix seconds, `new_key` the `tKey` of a session.

    `counts` tells `connections`, `refused` and `evicted` ones, `packs`, `values`, `stored`,
    `not-stored` and `code-9` messages, `configured` and `answers-dropped` answers, why sessions
    ended beside what `CloudSession` counts: `superseded`, `revoked`, `too-long`, `not-ready`,
    `stopped`. `trouble` is why the database cannot be read, None while it can.
    """

    def __init__(
        self,
        reactor: Any,
        place: str,
        endpoint: IStreamServerEndpoint,
        store: IReportStore,
        registry: Registry,
        front: str,
        now: Callable[[], float],
        *,
        limits: CloudLimits = CloudLimits(),
        allowed: Allowed = EVERYBODY,
        new_key: Callable[[], str] = lambda: secrets.token_hex(8),
        thread_time: Callable[[], float] = time.thread_time,
    ) -> None:
        super().__init__()
        self.setName("cloud")  # type: ignore[no-untyped-call]
        self.clock, self.new_key, self.thread_time = reactor, new_key, thread_time
        self.counts: Counter[str] = Counter()
        self.trouble: str | None = None
        self.unended: dict[DeviceSession, float] = {}
        self._store, self._registry, self._now = store, registry, now
        self._sessions: dict[DeviceSession, None] = {}
        self._settling: list[DeviceSession] = []
        self._by_gantry: dict[str, DeviceSession] = {}
        self._by_number: dict[int, DeviceSession] = {}
        self._number, self._version, self._stopping = 0, registry.version, False
        files = open_files(limits.connections + SPARE_FILES)
        connections = max(1, min(limits.connections, files - SPARE_FILES))
        self._slots = Slots(
            reactor,
            connections=connections,
            per_address=limits.per_address,
            reserved=min(limits.reserved, connections // 2),
            counts=self.counts,
            allowed=allowed,
        )
        self._book = CloudBook(store, reactor, front, self, self.counts, self._failing)
        self._sweeping = GuardedLoop(reactor, self._sweep, "the sweep of the cloud's sessions")
        self.factory = _SessionFactory(self)
        self.listener = Listener(
            reactor, place, endpoint, self.factory, lambda: list(self._sessions)
        )
        self.listener.setName("cloud")  # type: ignore[no-untyped-call]
        self.add(self.listener)

    @property
    def online(self) -> int:
        """How many devices are logged in here."""
        return len(self._by_gantry)

    @property
    def connections(self) -> int:
        return len(self._sessions)

    def startService(self) -> None:
        self._stopping = False
        super().startService()
        self._sweeping.start(SWEEP_S)
        self._book.start()

    def stopService(self) -> Deferred[Any]:
        """Answer what waits for its commit, at most GRACE_S long; then close all, and say so in
        the database.
        """
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        self._stopping = True
        for session in list(self._sessions):
            session.finish()
        until = self.clock.seconds() + GRACE_S
        while self._sessions and self.clock.seconds() < until:
            await deferLater(self.clock, _LOOK_S)
        self._sweeping.stop()
        await super().stopService()
        try:
            await self._book.stop()
        except Exception as error:  # the lease ends by itself
            _log.info("the cloud front leaves without a word: {error}", error=str(error)[:200])

    def accept(self, host: str) -> DeviceSession | None:
        """Return the session of a new connection; None when it must be closed at once."""
        slot = None if self._stopping else self._slots.admit(host)
        if slot is None:
            return None
        session = DeviceSession(self, slot)
        self._sessions[session] = None
        return session

    # -- what sessions ask

    def ready(self) -> bool:
        return self._registry.ready

    def account(self, eq_sn: str) -> Entry | None:
        """Return the gantry of a device; None for an unknown one, and for a gantry that waits for
        the approval of a person.
        """
        entry = self._registry.by_eq_sn(eq_sn)
        return None if entry is None or entry.gantry.pending else entry

    def put(self, message: Pack | Single, gantry: str, body: bytes) -> Deferred[Any]:
        """Store data; fires after its commit, and fails if it is not stored."""
        self.counts["packs" if isinstance(message, Pack) else "values"] += 1
        return self._store.put(report_of(message, gantry, self._now(), body))

    def not_stored(self) -> None:
        self.counts["not-stored"] += 1

    def settle(self, session: DeviceSession) -> None:
        """Let a session send the answers to what was committed, in the next turn of the reactor."""
        if not self._settling:
            self.clock.callLater(0, self._settle)
        self._settling.append(session)

    def _settle(self) -> None:
        settling, self._settling = self._settling, []
        for session in settling:
            session.settle()

    def refused(self) -> None:
        self.counts["code-9"] += 1
        self._store.refused(FogslinkCode.FAILED)

    def logged_in(self, session: DeviceSession) -> None:
        """Note a session; an older one of the same gantry ends."""
        older = self._by_gantry.get(session.gantry)
        if older is not None:
            older.cut("superseded")
            self._forget(older)
        self._number += 1
        session.number, session.since = self._number, self._now()
        self._by_gantry[session.gantry] = self._by_number[session.number] = session
        self._book.opened(_opened(session))

    def configured(self, session: DeviceSession, message: messages.Configured) -> None:
        self.counts["configured"] += 1
        self._book.answered(session.gantry, message.e_chan, message.code)

    def left(self, session: DeviceSession) -> None:
        self._sessions.pop(session, None)
        self.unended.pop(session, None)
        self._forget(session)

    def _forget(self, session: DeviceSession) -> None:
        if self._by_number.pop(session.number, None) is None:
            return
        if self._by_gantry.get(session.gantry) is session:
            del self._by_gantry[session.gantry]
        self._book.closed(_opened(session))

    # -- what the book tells

    def open_sessions(self) -> Iterable[Opened]:
        return map(_opened, self._by_gantry.values())

    def lost(self, number: int) -> None:
        session = self._by_number.get(number)
        if session is not None:
            session.cut("superseded")

    def configure(self, wish: ChannelWish) -> None:
        session = self._by_gantry.get(wish.gantry)
        if session is None:
            return  # it left within this second: the wish ends without an answer
        given = {"s_period": wish.period, "s_type": wish.type}
        wanted: Any = {name: text for name, text in given.items() if text is not None}
        session.configure(Configure(eq_sn=session.eq_sn, e_chan=wish.channel, **wanted))

    def _failing(self, why: str | None) -> None:
        self.trouble = why

    # -- once a second

    def _sweep(self) -> None:
        now = self.clock.seconds()
        for session in [each for each in self._sessions if each.heard_at <= now - SILENCE]:
            session.overdue()
        for session in [each for each, at in self.unended.items() if at <= now - PATIENCE]:
            self.unended.pop(session, None)  # a longer rest is looked at again
            session.take_rest()
        if self._registry.version != self._version:
            self._version = self._registry.version
            self._revoke()

    def _revoke(self) -> None:
        """End the sessions of devices that the registry no longer has, or not with this key."""
        for session in list(self._by_gantry.values()):
            entry = self.account(session.eq_sn)
            known = session.entry
            if (
                entry is None
                or known is None
                or entry.gantry.id != known.gantry.id
                or not entry.has_key(known.key)
            ):
                session.cut("revoked")


class _SessionFactory(Factory):
    noisy = False

    def __init__(self, front: CloudFront) -> None:
        self._front = front

    def buildProtocol(self, addr: IAddress | None) -> DeviceSession | None:
        return self._front.accept(host_of(addr))


def _opened(session: DeviceSession) -> Opened:
    return Opened(session.gantry, session.eq_sn, session.number, session.since)
