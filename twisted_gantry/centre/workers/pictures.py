"""Asks for the picture of each door that was opened illegally, once, before anybody does."""

from collections import deque
from datetime import tzinfo
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.logger import Logger

from twisted_gantry.centre.control.channels import CannotAsk
from twisted_gantry.centre.control.pictures import (
    MOST_AT_ONCE,
    NoPicture,
    NotAnswered,
    Pictures,
    TooManyPictures,
)
from twisted_gantry.centre.interfaces import NotStored, Session
from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.store import openings, pictures, registry
from twisted_gantry.centre.store.openings import Illegal
from twisted_gantry.centre.store.pictures import Opening
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.centre.workers.lease import Hold

_log = Logger()

PERIOD = 5.0
"""Seconds between two looks for openings."""
DELAY = 15.0
"""Seconds that a camera has to write its picture, after the report of the opening."""
LASTING = 60.0
"""Seconds between two looks at alarms that last: a door may be opened again meanwhile."""
MOST_WAITING = 1000
"""Openings that wait for their question."""
PAST = 3600.0
"""Seconds for which a worker that takes the duty looks back."""


class OpenedDoors:
    """The work of the duty `pictures`, whose `act` is called each PERIOD. `zone` is that of the
    gantries.
    """

    def __init__(self, asking: Pictures, sealing: Sealing, zone: tzinfo) -> None:
        self._asking, self._sealing, self._zone = asking, sealing, zone
        self._last: int | None = None
        self._looked = 0.0
        self._waiting: deque[Opening] = deque()
        self._seen: set[int] = set()

    async def act(self, hold: Hold) -> None:
        """Look for openings, and ask about a few of those that wait. Fails with the errors of the
        store.
        """
        found = await hold.read(self._look)
        room = max(0, MOST_WAITING - len(self._waiting))
        if len(found) > room:
            _log.warn("{n} doors are not photographed: too many wait", n=len(found) - room)
        self._waiting += found[:room]
        some = [self._waiting.popleft() for _ in range(min(MOST_AT_ONCE, len(self._waiting)))]
        asked = [self._ask(hold, each) for each in some]
        results: list[tuple[bool, Any]] = await DeferredList(asked, consumeErrors=True)
        for good, result in results:
            if not good:
                result.raiseException()

    def ended(self) -> None:
        """Forget what waits: another worker has the duty, and looks back itself."""
        self._last, self._seen = None, set()
        self._waiting.clear()

    def _look(self, session: Session) -> list[Opening]:
        now = session.now()
        if self._last is None:
            self._last, self._looked = openings.last_before(session, now - PAST), now
        self._last, found = openings.begun(session, self._last, now - DELAY)
        since = {each[1:] for each in found if each[0] not in self._seen}
        self._seen = {each[0] for each in found}
        if now - self._looked >= LASTING:
            since |= {_later(each, self._looked - DELAY) for each in openings.lasting(session)}
            self._looked = now
        known = set(self._waiting)
        return [
            each
            for gantry, received in sorted(since)
            for each in openings.openings(session, gantry, received, self._zone)
            if each not in known and not pictures.is_asked(session, each)
        ]

    def _ask(self, hold: Hold, opening: Opening) -> Deferred[None]:
        return ensureDeferred(self._asked(hold, opening))

    async def _asked(self, hold: Hold, opening: Opening) -> None:
        try:
            gantry = await hold.write(partial(self._noted, opening=opening))
        except NotStored:
            self._waiting.append(opening)
            raise
        if gantry is None:
            return
        try:
            await self._asking.ask(gantry, opening)
            answer = "1000"
        except NoPicture:
            answer = "1009"
        except (CannotAsk, NotAnswered, TooManyPictures) as error:
            answer = str(error)[:200]
            _log.info("no picture of {gantry}: {error}", gantry=gantry.id, error=answer)
        await hold.write(partial(pictures.answered, opening=opening, answer=answer))

    def _noted(self, session: Session, opening: Opening) -> Gantry | None:
        """Note the question, and return whom to ask: None if it was asked before."""
        if not pictures.first_question(session, opening):
            return None
        if pictures.find(session, opening) is not None:
            return None
        return registry.gantry(session, opening.gantry, self._sealing)


def _later(alarm: Illegal, since: float) -> tuple[str, float]:
    _, gantry, received = alarm
    return gantry, max(received, since)
