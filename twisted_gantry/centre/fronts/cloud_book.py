"""What the Fogslink fronts know of each other, by the database alone: sessions, and wishes for
configurations. One look a second; while the database is away nothing of it is lost.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from typing import Protocol as Interface

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.centre.interfaces import IReportStore, NotStored, Session
from twisted_gantry.centre.store import channel_wishes, cloud_sessions
from twisted_gantry.centre.store.channel_wishes import ChannelWish
from twisted_gantry.centre.store.cloud_sessions import LEASE, Opened
from twisted_gantry.net.timers import GuardedLoop

LOOK_S = 1.0
RENEW_S = LEASE / 3
MOST_ANSWERS = 10_000  # answers of devices that wait for the database; more are dropped


class Desk(Interface):
    """The front, as its book sees it."""

    def open_sessions(self) -> Iterable[Opened]: ...  # all of them, as they are now
    def lost(self, number: int) -> None: ...  # a newer session at another front replaced this one

    def configure(self, wish: ChannelWish) -> None:
        """Send a configuration to the session of the gantry, if it is still there."""


class CloudBook:
    """The pages of one front, of the name `front`. `failing` is told why the database cannot be
    read or written, and None when it can. `counts` gains `answers-dropped`.
    """

    def __init__(
        self,
        store: IReportStore,
        clock: IReactorTime,
        front: str,
        desk: Desk,
        counts: Counter[str],
        failing: Callable[[str | None], object],
    ) -> None:
        self._store, self._clock, self._front, self._desk = store, clock, front, desk
        self._counts, self._failing = counts, failing
        self._opened: dict[int, Opened] = {}
        self._closed: dict[int, Opened] = {}
        self._answers: list[tuple[str, str, str]] = []
        self._renewed = float("-inf")
        self._loop = GuardedLoop(clock, self.look, "the look at the cloud's sessions")

    def start(self) -> None:
        self._loop.start(LOOK_S)

    def stop(self) -> Deferred[None]:
        """Remove the front from the database, with its sessions. Fails as the store does."""
        self._loop.stop()
        return self._store.write(lambda session: cloud_sessions.leave(session, self._front))

    def opened(self, session: Opened) -> None:
        self._opened[session.number] = session

    def closed(self, session: Opened) -> None:
        """Note the end of a session that was noted as opened."""
        if self._opened.pop(session.number, None) is None:
            self._closed[session.number] = session

    def answered(self, gantry: str, channel: str, code: str) -> None:
        """Note the answer of a device to a configuration."""
        if len(self._answers) < MOST_ANSWERS:
            self._answers.append((gantry, channel, code))
        else:
            self._counts["answers-dropped"] += 1

    def look(self) -> Deferred[None]:
        """Write what happened here, and learn what was asked and what happened elsewhere."""
        return ensureDeferred(self._look())

    async def _look(self) -> None:
        try:
            await self._exchange()
        except NotStored as error:
            self._failing(str(error))
        else:
            self._failing(None)

    async def _exchange(self) -> None:
        now = self._clock.seconds()
        if self._opened or self._closed or self._answers or now >= self._renewed + RENEW_S:
            await self._write(now)
        lost, wishes = await self._store.read(self._news)
        if lost:
            await self._store.write(lambda job: cloud_sessions.told(job, self._front, lost))
            for number in lost:
                self._desk.lost(number)
        if wishes:
            for wish in await self._store.write(lambda job: channel_wishes.mark(job, wishes)):
                self._desk.configure(wish)

    async def _write(self, now: float) -> None:
        opened, closed = dict(self._opened), dict(self._closed)
        answers = list(self._answers)
        known = await self._store.write(
            lambda job: self._note(job, opened.values(), closed.values(), answers)
        )
        if not known:  # the front was away for longer than its lease, and its sessions with it
            everything = list(self._desk.open_sessions())
            await self._store.write(lambda job: cloud_sessions.note(job, self._front, everything))
        self._renewed = now
        _remove(self._opened, opened)
        _remove(self._closed, closed)
        del self._answers[: len(answers)]

    def _note(
        self,
        job: Session,
        opened: Iterable[Opened],
        closed: Iterable[Opened],
        answers: Iterable[tuple[str, str, str]],
    ) -> bool:
        """Do all of it in one transaction, which may run twice; returns whether the front was known
        there.
        """
        known = cloud_sessions.renew(job, self._front)
        cloud_sessions.clear(job)
        cloud_sessions.note(job, self._front, opened, closed)
        for answer in answers:
            channel_wishes.answered(job, *answer)
        channel_wishes.close(job)
        return known

    def _news(self, job: Session) -> tuple[list[int], list[ChannelWish]]:
        return cloud_sessions.lost(job, self._front), channel_wishes.due(job, self._front)


def _remove(from_: dict[int, Any], done: dict[int, Any]) -> None:
    for number in done:
        from_.pop(number, None)
