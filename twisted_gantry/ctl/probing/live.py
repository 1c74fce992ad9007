"""The driver of one device or uplink, run alone until its first outcome.

Everything is the gantry's own: the driver, its session, its decoder. Points and store are in
memory. Nothing is reported: an uplink logs in, or asks for the white list, and sends no values.
"""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.task import react
from twisted.internet.threads import deferToThreadPool

from twisted_gantry.config.settings import DeviceEntry, Settings
from twisted_gantry.core.alarms import Alarms
from twisted_gantry.core.catalogue import Catalogue, PointType
from twisted_gantry.core.commands.door import CommandDoor
from twisted_gantry.core.diagnosis import Diagnosis, subject_of
from twisted_gantry.core.interfaces import DeviceContext
from twisted_gantry.core.moments import Moment
from twisted_gantry.core.points import Point, Points
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import State, masked
from twisted_gantry.net.outage import Cause, Outage, outage
from twisted_gantry.store.schema import MIGRATIONS
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.store.writer import InlineWriter
from twisted_gantry.uplinks.etc.uplink import etc_uplink
from twisted_gantry.uplinks.fogslink.uplink import fogslink_uplink
from twisted_gantry.web.callbacks import CallbackHost

AGAIN = 5.0  # seconds for a second outcome after an error: a card may answer the second question
_OF_ONE_QUESTION = frozenset({Cause.MALFORMED, Cause.ERROR_ANSWER, Cause.SILENT, Cause.BUSY})


@dataclass
class Probed:
    """What came: `identity` is the peer's own name, `readings` the points, `errors` all errors."""

    diagnosis: Diagnosis
    identity: str = ""
    readings: list[tuple[PointType, Point]] = field(default_factory=list)
    errors: list[Outage] = field(default_factory=list)


def run(work: Callable[[Any], Any]) -> Any:
    """Run a coroutine function, which takes the reactor, to its end; returns its result."""
    results: list[Any] = []

    async def main(reactor: Any) -> None:
        results.append(await work(reactor))

    try:
        react(lambda reactor: ensureDeferred(main(reactor)))
    except SystemExit:
        if not results:
            raise
    return results[0]


async def probe(
    reactor: Any, settings: Settings, name: str, progress: Callable[[Diagnosis], None]
) -> Probed:
    """Try the device or the uplink `name` of `settings`; `progress` is called with each step."""
    site = _empty_site(settings, reactor)
    device = next((each for each in settings.devices if each.name == name), None)
    trial = _Trial(reactor, site)
    try:
        thing = trial.uplink(settings, name) if device is None else await trial.device(device)
        diagnosis = Diagnosis(trial.subject(name, thing), reactor, time.time(), changed=progress)
        await diagnosis.run()
        found = site.points.under(f"{name}.")
        readings = [(site.points.catalogue[each.name], each) for each in found]
        return Probed(diagnosis, getattr(thing, "identity", ""), readings, trial.errors)
    finally:
        await trial.end()


class _Trial:
    """One thing that is built, started for its exchange, and stopped. `errors` holds what went
    wrong on the way.
    """

    def __init__(self, reactor: Any, site: Site) -> None:
        self.errors: list[Outage] = []
        self._reactor, self._site = reactor, site
        self._thing: Any = None
        self._ports: list[Any] = []
        self._starts = True

    async def device(self, entry: DeviceEntry) -> Any:
        site, reactor = self._site, self._reactor
        callbacks = CallbackHost(reactor)

        def in_thread(function: Callable[..., Any], *args: Any, **more: Any) -> Deferred[Any]:
            return deferToThreadPool(reactor, reactor.getThreadPool(), function, *args, **more)

        means = (reactor, site.points, time.time, SystemRandom(), in_thread)
        context = DeviceContext(*means, site.store, callbacks, site.gantry_id)
        self._thing = entry.kind.build(entry.name, entry.settings, context)
        for place in callbacks.endpoints(()):
            try:
                listening = serverFromString(reactor, place).listen(callbacks.site())
                self._ports.append(await listening)
            except CannotListenError as error:
                en = f"no callback can be taken at {place}: {error.socketError}"
                self.errors.append(outage(Cause.LOCAL, en=en, zh=f"无法在{place}接收callback"))
        return self._thing

    def uplink(self, settings: Settings, name: str) -> Any:
        means = (self._site, self._reactor, time.time, SystemRandom().random)
        for etc in settings.etc:
            if etc.name == name:
                self._starts = False  # started, it would report
                self._thing = etc_uplink(etc, *means)
                return self._thing
        cloud = next(each for each in settings.fogslink if each.name == name)
        self._thing = fogslink_uplink(msgspec.structs.replace(cloud, channels={}), *means)
        return self._thing

    def subject(self, name: str, thing: Any) -> Any:
        """Return what is diagnosed; its attempt starts the driver."""
        subject = subject_of(name, thing)
        attempt = subject.attempt if not self._starts else self._first
        subject.attempt = lambda: ensureDeferred(self._noted(attempt))
        return subject

    async def _noted(self, attempt: Callable[[], Any]) -> Outage | None:
        wrong: Outage | None = await attempt()
        if wrong is not None and wrong.cause is Cause.NO_UPLOAD and self._thing.kind == "cabinet":
            return None  # it takes commands; its uploads go to its own server
        if wrong is not None:
            wrong = masked(wrong)
            self.errors.append(wrong)
        return wrong

    async def _first(self) -> Outage | None:
        """Start the driver; returns what was wrong with its last exchange, None for nothing."""
        status = self._thing.status
        outcome = status.outcome()
        self._thing.startService()
        wrong: Outage | None = await outcome
        if wrong is None or status.state is State.OFFLINE or wrong.cause not in _OF_ONE_QUESTION:
            return wrong
        try:
            again = await status.outcome().addTimeout(AGAIN, self._reactor)
        except TooLate:
            return wrong
        if again is None and status.outage is None:
            self.errors.append(wrong)  # the first question alone was not answered well
        return None if again is None else wrong

    async def end(self) -> None:
        if self._thing is not None and (self._thing.running or not self._starts):
            await maybeDeferred(self._thing.stopService)
        for port in self._ports:
            await maybeDeferred(port.stopListening)


def _empty_site(settings: Settings, reactor: Any) -> Site:
    """Return a site in memory without devices and uplinks."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    for script in MIGRATIONS:
        db.executescript(script)
    moment = Moment(time.time(), "probe", reactor.seconds(), trusted=False)
    store = SqliteStore(InlineWriter(db), lambda: moment)
    points = Points(Catalogue(), time.time)
    gantry = settings.gantry
    door = CommandDoor({}, store, reactor, time.time, lambda: "probe")
    alarms = Alarms(points, reactor, time.time, store)
    means = (time.time(), points, alarms, door, store)
    return Site(gantry.id, gantry.name, gantry.timezone, *means, {}, {})
