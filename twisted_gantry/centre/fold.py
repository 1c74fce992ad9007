"""What a report changes: pure rules over the timelines of a gantry.

The timeline of a subject is the set of its reports in the order of their positions. A condition
that a report does not tell stays as it was. An alarm is a longest run of reports after which its
condition holds. So the history of alarms follows from the set of reports, whatever the order in
which they came: a late report changes a condition from its place up to the next report that tells
of the condition, and nothing else.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import floor
from operator import lt
from typing import Any, NamedTuple, Protocol

import msgspec

from twisted_gantry.centre.conditions import CHANNEL, CLOCK_SKEW, SILENT, condition
from twisted_gantry.centre.model import PERIOD, Received, Told
from twisted_gantry.wire.emergencies import is_emergency
from twisted_gantry.wire.etc.conditions import CRITICAL
from twisted_gantry.wire.etc.envelope import MONITOR

PATIENCE = 2 * PERIOD
"""Seconds without anything newer after which the clock of a gantry that sends fell back."""
_SENDS = PERIOD - 30.0
"""Seconds for which it must have sent older reports: one alone may have waited for hours."""
AGREES = 300.0
"""Seconds between stamp and reception within which a clock is right again."""
AHEAD = 3600.0
"""Seconds by which the clock of a gantry may run ahead, at most."""
_EARLIEST = 1_577_836_800.0  # 2020-01-01 UTC: a clock before it was never set


class Position(NamedTuple):
    """Where a report stands in a timeline: its effective stamp, then its reception; Unix s."""

    stamp: float
    received: float

    @classmethod
    def of(cls, stamp: float, received: float) -> "Position":
        """Return the position of a stamp: not after its reception. Stamps are whole seconds, so
        that a reception counts as one: of two reports in one second the later arrival is newer.
        """
        return cls(min(stamp, floor(received)), received)


def may_be(stamp: float | None, received: float) -> bool:
    """Tell whether a clock that was set may have written a stamp. A backlog may be old."""
    return stamp is not None and _EARLIEST <= stamp <= received + AHEAD


@dataclass(slots=True)
class Span:
    """An alarm: its condition holds from `began` until `ended`, None while it is open. `id` is its
    row, None for a new one.
    """

    name: str
    began: Position
    ended: Position | None = None
    late: bool = False
    id: int | None = None
    changed: bool = False

    def covers(self, at: Position) -> bool:
        """Tell whether the condition holds after what stands at a position."""
        return self.began <= at and (self.ended is None or at < self.ended)


@dataclass(slots=True)
class SubjectState:
    """The newest report of a subject. `heard` is the last reception of any report of it;
    `battery_until` is when its batteries are empty; `strikes` are the last counts of lightning.
    """

    at: Position
    heard: float
    on_battery: bool | None = None
    battery_until: float | None = None
    mains_off: bool = False
    strikes: tuple[int, ...] | None = None
    changed: bool = False


@dataclass(slots=True)
class GantryMark:
    """What is kept of a gantry as a whole. `behind_since` is the reception of the first report of
    `behind_stamp` after which nothing newer came; `skewed`: it is judged by reception. `worst` is
    that of its open alarms but for its silence: 1 a warning, 2 critical, 3 an emergency; `since` is
    when that came.
    """

    behind_since: float | None = None
    behind_stamp: float | None = None
    skewed: bool = False
    worst: int = 0
    since: float | None = None
    silent_since: float | None = None
    changed: bool = False


class Past(Protocol):
    """What the database knows of a gantry's past; needed for late reports alone."""

    def spans(self, since: float) -> Iterable[Span]:
        """Return the alarms that ended at `since`, a stamp, or later."""

    def after(self, at: Position, subject: str) -> Iterator[tuple[Position, Told]]:
        """Yield what the reports after a position, which were folded, tell of a subject."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[list[Any]])
NOTHING_TOLD = "[]"
_NONE: frozenset[str] = frozenset()
_GANTRY = SILENT.partition(".")[0]
"""The subject of what no report tells: `gantry.silent`, `gantry.clock-skew`."""
_LIGHTNING = frozenset({"lightning"})
_HEARD = (Told("report", _NONE, ended=_NONE),)
"""The state of a gantry whose report tells of no subject: it was heard, and is not silent."""


@lru_cache(512)  # most reports tell what their neighbours told
def told_text(told: tuple[Told, ...]) -> str:
    """Return what a report tells as the text of its row: `[[subject, [raised], [unknown]], …]`; a
    fourth member names those that ended, where all others stay (`Told.ended`), without their ends
    if a fifth member is the end of all.
    """
    return _encoder.encode([_told_row(each) for each in told]).decode()


def _told_row(told: Told) -> list[Any]:
    row: list[Any] = [told.subject, sorted(told.raised), sorted(told.unknown)]
    if told.ended is None:
        return row
    names = sorted(told.ended)
    if all(name.endswith(CHANNEL) for name in names):  # a pack has some fifty of them
        return [*row, [name.removesuffix(CHANNEL) for name in names], CHANNEL]
    return [*row, names]


def told_of(text: str, subject: str) -> Told | None:
    """Return what the text of a row tells of a subject; None if it does not tell of it."""
    if f'"{subject}"' not in text:
        return None
    for name, raised, unknown, *ended in _decoder.decode(text):
        if name == subject:
            end = ended[1] if len(ended) > 1 else ""
            given = frozenset(each + end for each in ended[0]) if ended else None
            return Told(name, frozenset(raised), frozenset(unknown), ended=given)
    return None


class GantryFold:
    """Folds the reports of one gantry, one after another as they came, into its states and alarms.

    `spans` are the open alarms. What changed is marked so; nothing is removed.
    """

    def __init__(
        self, mark: GantryMark, states: dict[str, SubjectState], spans: Iterable[Span], past: Past
    ) -> None:
        self.mark, self.states = mark, states
        self.spans = list(spans)
        self._past = past
        self._loaded: float | None = None  # alarms that ended from here on are among the spans
        self._open: dict[str, dict[str, Span]] = {}
        self._of: dict[str, list[Span]] = {}  # by subject
        for each in self.spans:
            self._note(each)

    def take(self, report: Received, filed: float) -> tuple[bool, bool]:
        """Fold a report that is filed by the stamp `filed`. Returns whether it is late, and whether
        its place in the timeline is another one than `filed` tells.
        """
        steady = self._take_steady(report)
        if steady is not None:
            by_stamp = report.stamp is None or filed == report.stamp
            return False, not by_stamp and steady != Position.of(filed, report.received_at)
        told = report.told or _HEARD
        if not report.key:  # what a Fogslink device sends does not stand for the reports
            self._set_own(SILENT, False, report.received_at)
        self._judge_stamp(report)
        at = self.position(report)
        late = self._is_late(told, at)
        if late and self._fell_back(report, at):
            at = self.position(report)
            late = self._is_late(told, at)
        elif not late and report.told and report.stamp is not None:
            self._behind(None, None)  # a Fogslink pack has no stamp, and tells nothing of the clock
        for each in told:
            known = self.states.get(each.subject)
            if known is None or at >= known.at:
                self._move(each, at)
            else:
                known.heard, known.changed = max(known.heard, report.received_at), True
                self._insert(each, at)
        self._judge(report.received_at if late else at.stamp)
        return late, at != Position.of(filed, report.received_at)

    def set_own(self, name: str, holds: bool, at: float) -> bool:
        """Begin or end an alarm that no report tells of. Returns whether that changed it."""
        changed = self._set_own(name, holds, at)
        self._judge(at)
        return changed

    def _take_steady(self, report: Received) -> Position | None:
        """Take a report that comes in its order and changes no alarm, as nearly all do: the short
        way through the rules below. Returns where it stands; None for any other report.
        """
        mark = self.mark
        if len(report.told) != 1 or mark.since is None:
            return None
        if not report.key and (
            mark.skewed
            or mark.behind_since is not None
            or not may_be(report.stamp, report.received_at)
            or self._open.get(_GANTRY)
        ):
            return None
        [told] = report.told
        known = self.states.get(told.subject)
        if known is None or known.mains_off or self._open.get(told.subject):
            return None
        if told.raised or told.on_battery or told.battery_minutes is not None:
            return None
        at = self.position(report)
        if at < known.at or (told.strikes is not None and told.strikes != known.strikes):
            return None
        known.at, known.heard, known.changed = at, max(at.received, known.heard), True
        known.on_battery = told.on_battery
        known.battery_until = None
        return at

    def alters(self, told: Told, at: Position) -> bool:
        """Tell whether a late report would change alarms, as far as they are known now."""
        before, after = self._around(told, at)
        return before != after

    # -- the clock of the gantry

    def _judge_stamp(self, report: Received) -> None:
        """Note that the clock is right again, or that a stamp cannot be one."""
        stamp, received = report.stamp, report.received_at
        if stamp is not None and abs(received - stamp) <= AGREES:
            self._skew(False, received)
        elif not may_be(stamp, received) and not report.key and report.method in MONITOR:
            self._skew(True, received)

    def position(self, report: Received) -> Position:
        """Return where a report stands, as far as the clock of the gantry is known now."""
        stamp, received = report.stamp, report.received_at
        if stamp is None or self.mark.skewed or not may_be(stamp, received):
            stamp = received
        return Position.of(stamp, received)

    def _is_late(self, told: Sequence[Told], at: Position) -> bool:
        known = [self.states.get(each.subject) for each in told]
        return bool(known) and all(each is not None and at < each.at for each in known)

    def _fell_back(self, report: Received, at: Position) -> bool:
        """Tell whether a late report shows that the clock fell back. While a backlog drains, the
        stamps run ahead of the reception: that is no clock.
        """
        mark, received = self.mark, report.received_at
        if not report.told:
            return False
        if mark.behind_since is None or mark.behind_stamp is None:
            self._behind(received, at.stamp)
            return False
        passed = received - mark.behind_since
        newest = max(self.states[each.subject].at.received for each in report.told)
        if passed < _SENDS or received - newest < PATIENCE:
            return False
        if at.stamp - mark.behind_stamp > passed + AGREES:
            self._behind(received, at.stamp)
            return False
        self._skew(True, received)
        return True

    def _behind(self, since: float | None, stamp: float | None) -> None:
        if self.mark.behind_since != since:
            self.mark.behind_since, self.mark.behind_stamp = since, stamp
            self.mark.changed = True

    def _skew(self, skewed: bool, at: float) -> None:
        if self.mark.skewed != skewed:
            self.mark.skewed, self.mark.changed = skewed, True
            self._behind(None, None)
            self._set_own(CLOCK_SKEW, skewed, at)

    # -- alarms

    def _set_own(self, name: str, holds: bool, at: float) -> bool:
        subject, _, which = name.rpartition(".")
        known = self._open.get(subject, {}).get(which)
        if holds is (known is not None):
            return False
        if known is None:
            self._add(Span(name, Position(at, at)))
        else:
            self._end(known, Position(max(at, known.began.stamp), max(at, known.began.received)))
        return True

    def _move(self, told: Told, at: Position) -> None:
        minutes = told.battery_minutes
        until = None if minutes is None else at.stamp + 60 * minutes
        old = self.states.get(told.subject)
        heard = at.received if old is None else max(at.received, old.heard)
        last = None if old is None else old.strikes
        strikes = last if told.strikes is None else told.strikes
        state = SubjectState(at, heard, told.on_battery, until, strikes=strikes, changed=True)
        self.states[told.subject] = state
        present = self._open.get(told.subject)
        before = frozenset(present) if present else _NONE
        after = told.holding(before) - _LIGHTNING
        struck = _struck(last, told.strikes)
        if struck is None:
            after |= before & _LIGHTNING
        elif struck:  # each strike is an alarm of its own
            before, ended = before - _LIGHTNING, before & _LIGHTNING
            after |= _LIGHTNING
            for each in ended:
                self._end(self._open[told.subject][each], at)
        for each in sorted(before - after):
            self._end(self._open[told.subject][each], at)
        for each in sorted(after - before):
            self._add(Span(f"{told.subject}.{each}", at))
        self._note_mains(told.subject)

    def _insert(self, told: Told, at: Position) -> None:
        """Put a late report in its place."""
        before, after = self._around(told, at)
        changed = before ^ after
        if not changed:
            return
        own = self._of.get(told.subject, ())
        ends = self._next_told(told.subject, at, changed)
        for which in sorted(changed):
            name = f"{told.subject}.{which}"
            spans = [each for each in own if each.name == name]
            if which in after:
                self._hold(name, spans, at, ends.get(which))
            else:
                self._cut(spans, at, ends.get(which))
        self._note_mains(told.subject)

    def _around(self, told: Told, at: Position) -> tuple[frozenset[str], frozenset[str]]:
        """Return the conditions that hold before and after a late report."""
        self._load(at.stamp)
        own = self._of.get(told.subject, ())
        before = frozenset([e.name.rpartition(".")[2] for e in own if e.covers(at)])
        # A strike shows between two reports that came in order.
        return before, (told.holding(before) - _LIGHTNING) | (before & _LIGHTNING)

    def _next_told(
        self, subject: str, at: Position, conditions: Iterable[str]
    ) -> dict[str, Position]:
        """Return where conditions are told the next time; not those that never are."""
        found: dict[str, Position] = {}
        missing = set(conditions)
        for position, told in self._past.after(at, subject):
            here = {each for each in missing if told.tells(each)}
            found |= dict.fromkeys(here, position)
            missing -= here
            if not missing:
                break
        return found

    def _hold(self, name: str, spans: list[Span], at: Position, until: Position | None) -> None:
        """Let a condition hold from a position on, up to `until` or to the alarm that follows."""
        following = min((e for e in spans if e.began > at), key=lambda e: e.began, default=None)
        if following is not None and (until is None or following.began <= until):
            following.began, following.changed = at, True
        else:
            self._add(Span(name, at, until, late=True))

    def _cut(self, spans: list[Span], at: Position, until: Position | None) -> None:
        """Let a condition not hold from a position on, up to `until`. Of an alarm that is cut in
        two the later part keeps the row, with what people noted there.
        """
        for span in [each for each in spans if each.covers(at)]:
            if until is None or (span.ended is not None and span.ended <= until):
                self._end(span, at)
            else:
                self._add(Span(span.name, span.began, at, late=True))
                span.began, span.changed = until, True

    def _add(self, span: Span) -> None:
        span.changed = True
        self.spans.append(span)
        self._note(span)

    def _end(self, span: Span, at: Position) -> None:
        subject, _, which = span.name.rpartition(".")
        if span.ended is None:
            del self._open[subject][which]
        span.ended, span.changed = at, True

    def _note(self, span: Span) -> None:
        subject, _, which = span.name.rpartition(".")
        self._of.setdefault(subject, []).append(span)
        if span.ended is None:
            self._open.setdefault(subject, {})[which] = span

    def _load(self, since: float) -> None:
        if self._loaded is None or since < self._loaded:
            known = {each.id for each in self.spans if each.id is not None}
            found = [each for each in self._past.spans(since) if each.id not in known]
            self.spans += found
            for each in found:
                self._note(each)
            self._loaded = since

    # -- the whole

    def _note_mains(self, subject: str) -> None:
        state = self.states[subject]
        mains_off = bool(state.on_battery) or "mains-abnormal" in self._open.get(subject, ())
        if state.mains_off != mains_off:
            state.mains_off, state.changed = mains_off, True

    def _judge(self, at: float) -> None:
        mark = self.mark
        names = [f"{s}.{c}" for s, present in self._open.items() for c in present]
        silent = self._open.get(_GANTRY, {}).get("silent")
        silent_since = None if silent is None else silent.began.stamp
        worst = max((rank(each) for each in names if each != SILENT), default=0)
        if worst != mark.worst or mark.since is None:
            mark.worst, mark.since, mark.changed = worst, at, True
        if silent_since != mark.silent_since:
            mark.silent_since, mark.changed = silent_since, True


def _struck(old: tuple[int, ...] | None, new: tuple[int, ...] | None) -> bool | None:
    """Tell whether a count of lightning has risen; None if that is not told. A count that falls is
    an arrester that was restarted, another number of counts another set of arresters.
    """
    if new is None:
        return None
    return old is not None and len(old) == len(new) and any(map(lt, old, new))


def rank(name: str) -> int:
    """Return how urgent an alarm is: 1 a warning, 2 critical, 3 an emergency."""
    if is_emergency(name):
        return 3
    return 2 if condition(name).severity == CRITICAL else 1
