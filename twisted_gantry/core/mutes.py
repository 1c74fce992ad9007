"""For how long nobody is called: of an alarm that is shelved, of a device under maintenance.

Mutes are kept in a setting, and end in time over a restart, whatever the clock did meanwhile.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.core.moments import Moment
from twisted_gantry.net.timers import Timer

LONGEST = 7 * 86_400.0  # seconds


@dataclass(frozen=True)
class Mute:
    """Nobody is called for `subject` from `since` until `until`, Unix seconds."""

    subject: str
    since: float
    until: float
    by: str = ""
    note: str = ""


class _Kept(msgspec.Struct):
    """A mute as the setting has it: `seconds` were left at the moment `made`."""

    since: float
    seconds: float
    made: tuple[float, str, float, bool]
    by: str = ""
    note: str = ""

    def until(self, now: Moment) -> float:
        return now.wall_of(Moment(*self.made)) + self.seconds


class Mutes:
    """The mutes of one kind. `keep` stores the value of the setting, None for none; `over` is told
    the subject of a mute whose time is over.
    """

    def __init__(
        self,
        clock: IReactorTime,
        moment: Callable[[], Moment],
        keep: Callable[[Any], object],
        over: Callable[[str], object],
    ) -> None:
        self._clock, self._moment, self._keep, self._over = clock, moment, keep, over
        self._kept: dict[str, _Kept] = {}
        self._timers: dict[str, Timer] = {}

    def __contains__(self, subject: str) -> bool:
        return subject in self._kept

    def __iter__(self) -> Iterator[Mute]:
        return (self._shown(subject) for subject in list(self._kept))

    def get(self, subject: str) -> Mute | None:
        return self._shown(subject) if subject in self._kept else None

    def start(self, subject: str, seconds: float, by: str, note: str) -> Mute:
        """Begin a mute, or put another in its place; `seconds` over 0, at most `LONGEST`."""
        now = self._moment()
        made = (now.wall, now.boot, now.mono, now.trusted)
        self._run(subject, _Kept(now.wall, seconds, made, by, note))
        self._save()
        return self._shown(subject)

    def end(self, subject: str) -> Mute | None:
        """End a mute; returns None if there was none."""
        if subject not in self._kept:
            return None
        ended = self._shown(subject)
        del self._kept[subject]
        self._timers.pop(subject).cancel()
        self._save()
        return ended

    def restore(self, value: Any) -> None:
        """Take up what an earlier process has kept, as far as it can be read."""
        now, given = self._moment(), value if isinstance(value, Mapping) else {}
        for subject, each in given.items():
            try:
                kept = msgspec.convert(each, _Kept)
            except msgspec.ValidationError:
                continue
            kept.seconds = min(kept.seconds - now.passed(Moment(*kept.made)), LONGEST)
            kept.made = (now.wall, now.boot, now.mono, now.trusted)
            if kept.seconds > 0:
                self._run(subject, kept)
        if given:
            self._save()

    def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()

    def _shown(self, subject: str) -> Mute:
        kept = self._kept[subject]
        return Mute(subject, kept.since, kept.until(self._moment()), kept.by, kept.note)

    def _run(self, subject: str, kept: _Kept) -> None:
        known = self._timers.get(subject)
        if known is not None:
            known.cancel()
        self._kept[subject] = kept
        self._timers[subject] = Timer(self._clock, partial(self._ended, subject))
        self._timers[subject].start(kept.seconds)

    def _ended(self, subject: str) -> None:
        self.end(subject)
        self._over(subject)

    def _save(self) -> None:
        kept = {subject: msgspec.to_builtins(each) for subject, each in self._kept.items()}
        self._keep(kept or None)
