"""The duty `notify`: one worker tells people, and another one goes on where it stopped."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from twisted_gantry.centre.own_troubles import OwnTroubles
from twisted_gantry.centre.store import notices
from twisted_gantry.centre.store.news import NewsReader
from twisted_gantry.centre.workers.caller import Caller, Office, StoredNotices
from twisted_gantry.centre.workers.lease import Hold
from twisted_gantry.notify.notice import Notice
from twisted_gantry.settings.notify import NotifyEntry

DUTY = "notify"
PERIOD = 1.0  # seconds between two looks at what is to be told


class DatabaseClock:
    """The time of the database, as this computer's clock with an offset: what a worker keeps must
    mean the same to the next one. `now` returns Unix seconds of this computer.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._offset = 0.0

    def now(self) -> float:
        return self._now() + self._offset

    def read(self, theirs: float, asked: float) -> None:
        """Take the database's time, which was read since the moment `asked` of this computer."""
        self._offset = theirs - (asked + self._now()) / 2


class Calls:
    """Reads what is to be told, and lets the targets tell it while this worker has the duty."""

    def __init__(self, entries: Sequence[NotifyEntry], office: Office, own: OwnTroubles) -> None:
        self._entries, self._own = entries, own
        self._local = office.now
        self._clock = DatabaseClock(office.now)
        self._desk = replace(office, now=self._clock.now)
        self._reader = NewsReader()
        self._notices: Sequence[Notice] = ()
        self._caller: Caller | None = None

    async def act(self, hold: Hold) -> None:
        if not self._entries and self._caller is not None:
            return  # nobody is to be told
        asked = self._local()
        news = await hold.read(self._reader.read)
        self._clock.read(news.now, asked)
        changed = news.notices != self._notices
        self._notices = news.notices
        if self._caller is None:
            names = frozenset(each.name for each in self._entries)
            await hold.write(partial(notices.left_off, known=names))
            self._caller = Caller(
                self._entries,
                self._desk,
                partial(StoredNotices, hold=hold),
                lambda: self._notices,
                self._own,
            )
            self._caller.startService()
        elif changed:
            self._caller.changed()

    def ended(self) -> Deferred[Any] | None:
        """Stop telling: the duty is another worker's."""
        caller, self._caller = self._caller, None
        return None if caller is None else caller.stopService()
