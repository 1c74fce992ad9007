"""What one target is told, and when: decisions without input and output.

Alarms are folded under their cause, wait for `delay`, and leave together: at most one message in
`PACE` seconds, unless an urgent alarm is new. The answers of the plan depend on its arguments
alone; a `Now` has both clocks, since a plan outlives the process.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from twisted_gantry.notify.notice import CRITICAL, Event, Notice, causes_of
from twisted_gantry.notify.quiet import Quiet
from twisted_gantry.notify.stages import Call, Stage

PACE = 10.0  # seconds between two messages to a target
ORPHANED = 60.0
"""Seconds for which an alarm is not told after its cause has ended: it mostly ends, too."""
SETTLING = 5.0
"""Seconds after a start in which an alarm that was told before and is not raised counts as raised:
those who raise alarms begin one after another."""
MOST_TOLD = 100  # alarms in one message
AT_LEAST = 0.05  # seconds until the plan is looked at again


class Now(NamedTuple):
    """A moment: `mono` are seconds that never jump, `wall` is Unix seconds."""

    mono: float
    wall: float


@dataclass(frozen=True)
class Policy:
    """When a target is told. Times are seconds, 0 for never; without a `min_severity` the target
    hears of escalated alarms alone.
    """

    min_severity: str | None
    zone: ZoneInfo
    delay: float = 0.0
    repeat: float = 0.0
    escalate_after: float = 0.0
    quiet: Quiet | None = None
    deaf_to: str = ""
    """How the names of alarms begin that are never told here: those about this target."""


class Kept(msgspec.Struct, omit_defaults=True):
    """An alarm in the state that outlives the process; times are Unix seconds."""

    name: str
    stage: Stage
    severity: str
    en: str
    zh: str
    raised_at: float
    value: Any = None
    emergency: bool = False
    cleared_at: float | None = None
    called_at: float | None = None
    told_at: float | None = None
    escalated: bool = False
    from_other: bool = False
    id: str = ""
    acknowledged: bool = False


class PlanState(msgspec.Struct, omit_defaults=True):
    """What of a plan outlives the process."""

    last: float | None = None
    kept: list[Kept] = []
    orphans: dict[str, float] = {}


@dataclass(eq=False)
class Entry:
    """An alarm that is told, or is to be. `due`, `called_at` and `told_at` are of `Now.mono`.

    `called_at` is when people were to be called; `from_other`: another target escalated the alarm.
    """

    notice: Notice
    call: Call
    due: float
    cleared_at: float | None = None
    called_at: float | None = None
    told_at: float | None = None
    escalated: bool = False
    from_other: bool = False
    unseen: bool = False
    """Told before the start, and not seen raised since."""

    @property
    def stage(self) -> Stage:
        return self.call.stage

    def is_of_another(self, notice: Notice) -> bool:
        """Tell whether people were told of an earlier alarm of that name."""
        told = self.stage in (Stage.TOLD, Stage.OVER)
        return told and self.notice.id not in ("", notice.id)

    def is_worse(self, notice: Notice) -> bool:
        """Tell whether people were told of a warning that has become critical."""
        told = self.stage is Stage.TOLD and self.notice.severity != CRITICAL
        return told and notice.severity == CRITICAL

    def is_finished(self) -> bool:
        """Tell whether the alarm that people were told of is done with: the end was not seen, or
        a person has acknowledged the alarm. Else a quick return is no news.
        """
        return self.stage is Stage.TOLD or self.notice.acknowledged


@dataclass(frozen=True)
class Draft:
    """A message to be made: the event, and the alarms, the most urgent first."""

    event: Event
    entries: Sequence[Entry]


class Plan:
    """The plan of one target. `changed` is true when `state` should be stored anew."""

    def __init__(self, policy: Policy, state: PlanState, now: Now) -> None:
        self.changed = False
        self._policy = policy
        self._active: Mapping[str, Notice] = {}
        self._entries: dict[str, Entry] = {}
        self._folded: set[str] = set()
        self._orphans: dict[str, float] = {}
        self._recent: dict[str, float] = {}  # when an alarm was last told, within PACE
        self._last: float | None = None
        self._settled = now.mono + SETTLING
        self._restore(state, now)

    # -- what happens

    def observe(self, active: Mapping[str, Notice], now: Now) -> None:
        """Take all alarms that are raised now, by name."""
        self._active = active
        folded = {name for name in active if causes_of(name, active)}
        for name in self._folded - folded:
            self._orphans[name] = now.mono + ORPHANED
        self._folded = folded
        self._orphans = {n: until for n, until in self._orphans.items() if n in active}
        for name, entry in list(self._entries.items()):
            self._follow(name, entry, now)
        for name, notice in active.items():
            if name not in self._entries and name not in folded and self._concerns(notice):
                lasted = max(0.0, now.wall - notice.raised_at)
                due = now.mono + max(0.0, self._policy.delay - lasted)
                due = max(due, self._orphans.get(name, due))
                self._entries[name] = Entry(notice, Call(), due)
        self.advance(now)

    def escalated(self, notices: Iterable[Notice], now: Now) -> None:
        """Take alarms that another target did not get acknowledged."""
        for notice in notices:
            known = self._entries.get(notice.name)
            if known is None or known.stage is Stage.WAITING or known.is_of_another(notice):
                self._entries[notice.name] = Entry(notice, Call(), now.mono, from_other=True)
                self.changed = True
        self.advance(now)

    def advance(self, now: Now) -> None:
        """Let time pass."""
        self._recent = {n: at for n, at in self._recent.items() if now.mono - at < PACE}
        quiet = self._quiet_left(now) > 0
        for name, entry in list(self._entries.items()):
            if entry.stage is Stage.WAITING and entry.due <= now.mono:
                entry.call.lasted()
                self.changed = True
            if entry.unseen and now.mono >= self._settled:
                entry.unseen = False
                self._follow(name, entry, now)
            called = entry.called_at is not None
            if entry.stage is Stage.DUE and not called and self._passes(entry, quiet):
                entry.called_at = now.mono
                self.changed = True

    def told(self, draft: Draft, now: Now) -> None:
        """Note that a message is in the outbox, or will be with `state`, in one transaction."""
        for entry in draft.entries:
            name = entry.notice.name
            entry.call.told()
            entry.told_at = self._recent[name] = now.mono
            if entry.called_at is None:
                entry.called_at = now.mono
            if entry.stage is Stage.DONE:
                self._entries.pop(name, None)
        self._last = now.mono

    def delivered(self, now: Now) -> None:
        """Note that the receiver took a message: the pace counts from then."""
        self._last = now.mono

    # -- what follows

    def next(self, now: Now) -> Draft | None:
        """Return the message to make now, None for none."""
        raised, over, again = self._pending(now)
        paced = self._last is None or now.mono - self._last >= PACE
        urgent = any(e.notice.urgent and e.notice.name not in self._recent for e in raised)
        if raised and (paced or urgent):
            return _draft(Event.RAISED, raised)
        if over and paced:
            return _draft(Event.CLEARED, over)
        if again and paced:
            return _draft(Event.REPEATED, again)
        return None

    def has_urgent(self, now: Now) -> bool:
        """Tell whether an urgent alarm waits for its first message."""
        raised, _, _ = self._pending(now)
        return any(e.notice.urgent and e.told_at is None for e in raised)

    def to_escalate(self, now: Now) -> list[Notice]:
        """Return alarms that were not acknowledged in time, each once."""
        after, found = self._policy.escalate_after, []
        for entry in self._entries.values() if after > 0 else ():
            if self._needs_people(entry) and not entry.escalated and _since(entry, now) >= after:
                entry.escalated = self.changed = True
                found.append(entry.notice)
        return found

    def wait(self, now: Now, *, blocked: bool = False) -> float | None:
        """Return the seconds until something may follow without a change of alarms, None for
        never. While `blocked` no message can be made.
        """
        policy, times, messages = self._policy, list[float](), list[float]()
        quiet = self._quiet_left(now)
        pace = 0.0 if self._last is None else self._last + PACE - now.mono
        for entry in self._entries.values():
            if entry.stage is Stage.WAITING:
                times.append(entry.due - now.mono)
            elif entry.stage is not Stage.TOLD:
                messages.append(pace if self._passes(entry, quiet > 0) else max(pace, quiet))
                if quiet > 0 and entry.called_at is None:
                    times.append(quiet)  # then people are called, by whatever way
            elif entry.unseen:
                times.append(self._settled - now.mono)
            if entry.stage is Stage.TOLD and policy.repeat and self._needs_people(entry):
                ready = max(pace, policy.repeat - (now.mono - (entry.told_at or 0.0)))
                messages.append(ready if self._passes(entry, quiet > 0) else max(ready, quiet))
            if policy.escalate_after and self._needs_people(entry) and not entry.escalated:
                times.append(policy.escalate_after - _since(entry, now))
        times += [] if blocked else messages
        return max(min(times), AT_LEAST) if times else None

    def state(self, now: Now) -> PlanState:
        """Return what must outlive the process."""
        self.changed = False

        def wall(mono: float | None) -> float | None:
            return None if mono is None else now.wall - (now.mono - mono)

        kept = [
            Kept(
                *(n.name, e.stage, n.severity, n.en, n.zh, n.raised_at, n.value, n.emergency),
                *(e.cleared_at, wall(e.called_at), wall(e.told_at), e.escalated, e.from_other),
                *(n.id, n.acknowledged),
            )
            for e in self._entries.values()
            for n in (e.notice,)
            if e.stage is not Stage.WAITING
        ]
        orphans = {n: now.wall + until - now.mono for n, until in self._orphans.items()}
        orphans |= dict.fromkeys(self._folded, now.wall + ORPHANED)
        return PlanState(wall(self._last), kept, orphans)

    # -- parts

    def _restore(self, state: PlanState, now: Now) -> None:
        def mono(wall: float | None) -> float | None:
            # A clock that was set back meanwhile must not make a time of the future.
            return None if wall is None else now.mono - max(0.0, now.wall - wall)

        self._last = mono(state.last)
        for name, until in state.orphans.items():
            self._orphans[name] = now.mono + min(max(0.0, until - now.wall), ORPHANED)
        for each in state.kept:
            notice = Notice(
                *(each.name, each.severity, each.en, each.zh, each.raised_at, each.value),
                emergency=each.emergency,
                acknowledged=each.acknowledged,
                id=each.id,
            )
            entry = Entry(notice, Call(each.stage), now.mono, each.cleared_at)
            entry.called_at, entry.told_at = mono(each.called_at), mono(each.told_at)
            entry.escalated, entry.from_other = each.escalated, each.from_other
            entry.unseen = each.stage in (Stage.DUE, Stage.TOLD)
            self._entries[each.name] = entry

    def _follow(self, name: str, entry: Entry, now: Now) -> None:
        """Let an entry follow the alarm that it is about."""
        notice = self._active.get(name)
        if notice is not None:
            quiet = notice.muted or name in self._folded or not self._concerns(notice)
            worse = entry.is_worse(notice)
            if worse or (entry.is_of_another(notice) and entry.is_finished()):
                if not quiet:
                    self._entries[name] = Entry(notice, Call(Stage.DUE), now.mono)
                    self.changed = True
                    return
                notice = replace(notice, id=entry.notice.id)
                if worse:  # to be told when the alarm is muted no more
                    notice = replace(notice, severity=entry.notice.severity)
            entry.unseen = False
            waiting = entry.stage is Stage.WAITING
            entry.notice = replace(
                notice, raised_at=(notice if waiting else entry.notice).raised_at
            )
            if entry.stage in (Stage.MISSED, Stage.OVER):
                entry.call.back()
                entry.cleared_at, self.changed = None, True
            mutable = waiting or (entry.stage is Stage.DUE and not entry.from_other)
            if mutable and quiet:
                del self._entries[name]
                self.changed = self.changed or not waiting
        elif not entry.unseen and entry.stage not in (Stage.MISSED, Stage.OVER):
            self.changed = self.changed or entry.stage is not Stage.WAITING
            entry.call.gone()
            entry.cleared_at = now.wall
            if entry.stage is Stage.DONE:
                del self._entries[name]

    def _concerns(self, notice: Notice) -> bool:
        least = self._policy.min_severity
        severe = notice.severity == CRITICAL or notice.emergency or least != CRITICAL
        return (
            least is not None and severe and not notice.muted and not self._is_deaf_to(notice.name)
        )

    def _is_deaf_to(self, name: str) -> bool:
        return bool(self._policy.deaf_to) and name.startswith(self._policy.deaf_to)

    def _needs_people(self, entry: Entry) -> bool:
        """Tell whether people were called for a raised alarm, and none has acknowledged it."""
        notice = entry.notice
        called = entry.stage in (Stage.DUE, Stage.TOLD) and entry.called_at is not None
        raised = notice.name in self._active and notice.name not in self._folded
        return called and raised and not (notice.acknowledged or notice.muted)

    def _passes(self, entry: Entry, quiet: bool) -> bool:
        return entry.notice.urgent or not quiet

    def _quiet_left(self, now: Now) -> float:
        quiet = self._policy.quiet
        return 0.0 if quiet is None else quiet.left(now.wall, self._policy.zone)

    def _pending(self, now: Now) -> tuple[list[Entry], list[Entry], list[Entry]]:
        """Return the entries to be told as raised, as cleared, and again."""
        quiet, repeat = self._quiet_left(now) > 0, self._policy.repeat
        passing = [e for e in self._entries.values() if self._passes(e, quiet)]
        raised = [e for e in passing if e.stage in (Stage.DUE, Stage.MISSED)]
        over = [e for e in passing if e.stage is Stage.OVER]
        again = [
            e
            for e in passing
            if repeat and e.stage is Stage.TOLD and self._needs_people(e)
            if now.mono - (e.told_at or 0.0) >= repeat
        ]
        return raised, over, again


def _since(entry: Entry, now: Now) -> float:
    return now.mono - (now.mono if entry.called_at is None else entry.called_at)


def _draft(event: Event, entries: list[Entry]) -> Draft:
    def order(entry: Entry) -> tuple[bool, bool, float]:
        notice = entry.notice
        return not notice.emergency, notice.severity != CRITICAL, notice.raised_at

    return Draft(event, sorted(entries, key=order)[:MOST_TOLD])
