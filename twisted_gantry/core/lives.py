"""The records of all alarms of the site: their lives, what people do about them, who is told.

Two views of one alarm: *people* are told once that the alarm is raised, once that it is cleared,
over restarts, and of one that flaps only the beginning and the end. *Edges* are each rise and fall
of the condition that this process has seen: what the platform is told of.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.alarm import (
    Alarm,
    AlarmLedger,
    AlarmsAtStart,
    CannotChange,
)
from twisted_gantry.core.flapping import AlarmSettings, Raises
from twisted_gantry.core.interfaces import IStore, StoreFailed
from twisted_gantry.core.keeping import STALE, AlarmKeeper
from twisted_gantry.core.lifecycle import LifeCore, LifeInputs, alarm_life
from twisted_gantry.core.moments import BUILT, Moment
from twisted_gantry.core.mutes import Mute, Mutes
from twisted_gantry.core.rules import Severity
from twisted_gantry.logs import MASKS
from twisted_gantry.net.timers import Timer
from twisted_gantry.wire.reading import Value

_log = Logger()

MOST_CALLS = 16  # messages about an alarm that are remembered with the alarm, the last ones
REMEMBERED = 1000  # ended alarms that are known without the disk
SOON = 1.0  # seconds within which the counts of an alarm that flaps are told once
SHELVED, MAINTENANCE = "alarms.shelved", "alarms.maintenance"  # names of settings

Subscriber = Callable[[Alarm], None]


@dataclass(eq=False)
class _Life:
    """An alarm that is active, or was raised of late. `holds`: whether its condition was seen to
    hold, None if nothing was seen since a restart. `unclaimed`: nothing watches the condition.
    """

    machine: LifeInputs
    core: LifeCore
    quiet: Timer
    raises: Raises = field(default_factory=Raises)
    holds: bool | None = False
    unclaimed: bool = False
    falling: bool = False  # a fall of the condition is to be told

    @property
    def alarm(self) -> Alarm:
        return self.core.alarm

    @alarm.setter
    def alarm(self, alarm: Alarm) -> None:
        self.core.alarm = alarm


class AlarmBook:
    """The records. With a `store` they outlive the process. `new_id` makes the ids of alarms;
    `is_watched` tells of names whether a rule may raise such an alarm.
    """

    def __init__(
        self,
        clock: IReactorTime,
        now: Callable[[], float],
        store: IStore | None = None,
        new_id: Callable[[], str] | None = None,
        settings: AlarmSettings | None = None,
        is_watched: Callable[[str], bool] = lambda name: False,
    ) -> None:
        numbers = count(1)
        self.clock, self.settings = clock, settings or AlarmSettings()
        self.is_watched = is_watched
        self.ledger = AlarmLedger()
        self._now = now
        self._new_id = new_id or (lambda: f"alarm-{next(numbers)}")
        self._moment: Callable[[], Moment] = store.moment if store else self._own_moment
        self._keeper = AlarmKeeper(store, now, self.active, self._counted)
        self._soon: dict[str, None] = {}  # names of alarms whose count has changed
        self._soon_timer = Timer(clock, self._tell_soon)
        self._clock_was_wrong = False
        self._lives: dict[str, _Life] = {}
        self._ended: list[Alarm] = []
        self._serial = 0
        self._subscribers: list[Subscriber] = []
        self._change_subscribers: list[Subscriber] = []
        self._edge_subscribers: list[Subscriber] = []
        keep = self._keeper.keep_setting
        self._shelves = Mutes(
            clock, self._moment, lambda value: keep(SHELVED, value), self._shelf_over
        )
        self._maintained = Mutes(
            clock, self._moment, lambda value: keep(MAINTENANCE, value), self._work_over
        )

    def _own_moment(self) -> Moment:
        return Moment(self._now(), "", self.clock.seconds(), True)

    # -- over a restart

    def restore(self, found: AlarmsAtStart) -> None:
        """Take up what an earlier process has left. To be called before anything is watched; then
        `settle` tells what is configured.
        """
        now = self._moment()
        self.ledger, self._serial = found.ledger, found.last
        self._shelves.restore(found.settings.get(SHELVED))
        self._maintained.restore(found.settings.get(MAINTENANCE))
        self._ended = [alarm for alarm in found.recent if not alarm.active][-REMEMBERED:]
        newest = {alarm.name: alarm for alarm in found.recent}
        for alarm in found.recent:
            if alarm.active and newest[alarm.name] is not alarm:
                self._doubled(alarm)
        for alarm in newest.values():
            life = self._new_life(alarm)
            self._clock_was_wrong |= not _plausible(alarm)
            if alarm.raised is not None:
                life.raises.load(alarm.raised, now)
            if alarm.active:
                life.alarm = replace(alarm, unknown=True, **self._muted(alarm))
                life.holds, life.unclaimed = None, True
                life.machine.restored()
                if life.alarm.flapping:
                    quiet = life.raises.quiet_in(now.mono, self.settings.flap_window)
                    life.quiet.start(quiet)
                if life.alarm.muted is not alarm.muted:
                    self._keeper.keep(life.alarm)

    def _doubled(self, alarm: Alarm) -> None:
        """End a record that was replaced while the disk failed; only the newest of a name lasts."""
        self._keeper.keep(replace(alarm, cleared_at=self._now(), ended_by=STALE))
        self._count(cleared=1, active=-1)

    def release(self, source: str, name: str = "") -> None:
        """Note that what watched the conditions of a source, or that of the one alarm `name`, has
        gone, maybe to be made anew; until then nothing is known of them. `settle` ends the alarms
        of what does not come back.
        """
        own = [each for each in self._active_of(None) if each.alarm.owner == source]
        for life in [each for each in own if name in ("", each.alarm.name)]:
            if life.holds:
                self._tell(replace(life.alarm, cleared_at=self._now()), self._edge_subscribers)
            life.holds, life.unclaimed = None, True
            self._change(life, unknown=True)

    def unclaimed(self) -> list[Alarm]:
        """Return the active alarms of which nothing watches the condition."""
        return [life.alarm for life in self._lives.values() if life.unclaimed]

    def end_unseen(self, name: str, why: str) -> None:
        """End an alarm whose condition nothing tells of; `why` is one of `local_api.ENDINGS`."""
        life = self._lives[name]
        life.holds = False
        life.alarm = replace(life.alarm, ended_by=why)
        life.machine.give_up()

    def claim(self, name: str) -> bool:
        """Tell whether an alarm is raised already, and that its condition is watched now."""
        life = self._life(name)
        if life is None or not life.unclaimed:
            return False
        life.unclaimed = False
        return True

    # -- conditions

    def set(
        self,
        name: str,
        severity: Severity,
        en: str,
        zh: str,
        group: str = "",
        value: Value = None,
        subject: str = "",
    ) -> None:
        """Raise an alarm; one that is raised keeps its time, takes the new text and is not told."""
        texts = MASKS.masked(en), MASKS.masked(zh)
        self.rises(Alarm(name, severity, *texts, 0.0, 0.0, group, value=value, subject=subject))

    def clear(self, name: str) -> None:
        life = self._life(name)
        if life is None or not life.alarm.active:
            return
        life.falling, life.holds, life.unclaimed = bool(life.holds), False, False
        life.machine.falls()
        if life.falling:  # the alarm is held
            self._tell_fall(life, replace(life.alarm, cleared_at=self._now()))

    def rises(self, fresh: Alarm, each_time: bool = False) -> None:
        """Note that a condition holds. `fresh` is the alarm as it would be told now, without times;
        with `each_time` the alarm is never held.
        """
        text: dict[str, Any] = {"severity": fresh.severity, "en": fresh.en, "zh": fresh.zh}
        life = self._life(fresh.name) or self._new_life(fresh)
        known = life.alarm
        if life.holds:
            if (known.severity, known.en, known.zh) != (fresh.severity, fresh.en, fresh.zh):
                self._change(life, **text)
            return
        confirmed = known.active and life.holds is None
        life.holds, life.unclaimed = True, False
        if confirmed:
            changed = {**text, "unknown": False, "group": fresh.group, "subject": fresh.subject}
            life.alarm = replace(known, **changed)
            self._tell(life.alarm, self._edge_subscribers)
            self._change(life)
            return
        number = life.raises.add(self._moment().mono, self.settings.flap_window)
        if known.active:  # one that flaps
            life.alarm = replace(known, count=number, **text)
            self._tell(life.alarm, self._edge_subscribers)
            self._change_soon(known.name)
        else:
            flapping = number > self.settings.flap_limit and not each_time
            life.alarm = self._made(fresh, life.raises, number, flapping)
        life.machine.rises()

    def _made(self, fresh: Alarm, raises: Raises, number: int, flapping: bool) -> Alarm:
        self._serial += 1
        moment = self._moment()
        self._clock_was_wrong |= not moment.plausible
        return replace(
            fresh,
            raised_at=self._now(),
            cleared_at=None,
            serial=self._serial,
            id=self._new_id(),
            count=number,
            flapping=flapping,
            made=moment,
            raised=raises.save(moment),
            **self._muted(fresh),
        )

    def _muted(self, alarm: Alarm) -> dict[str, Any]:
        """Return the members of an alarm that tell of its mutes."""
        if alarm.emergency:
            return {"shelved_until": None, "in_maintenance": False}
        shelf = self._shelves.get(alarm.name)
        until = None if shelf is None else shelf.until
        return {"shelved_until": until, "in_maintenance": alarm.source in self._maintained}

    # -- the lives

    def _life(self, name: str) -> _Life | None:
        return self._lives.get(name)

    def _new_life(self, alarm: Alarm) -> _Life:
        name = alarm.name
        core = LifeCore(
            alarm,
            begin=lambda: self._begun(life),
            end=lambda: self._over(life),
            hold=lambda: life.quiet.start(self.settings.flap_window),
        )
        life = _Life(alarm_life(core), core, Timer(self.clock, lambda: self._is_quiet(life)))
        self._lives[name] = life
        if len(self._lives) > 2 * REMEMBERED:
            self._forget_old()
        return life

    def _forget_old(self) -> None:
        now = self._moment().mono
        for name, life in list(self._lives.items()):
            if not life.alarm.active and not life.raises.count(now, self.settings.flap_window):
                del self._lives[name]

    def _begun(self, life: _Life) -> None:
        alarm = life.alarm
        told = {"message": alarm.message, "message_zh": alarm.message_zh}
        _log.warn("alarm {alarm}: {message}", alarm=alarm.name, **told)
        self._count(raised=1, active=1)
        self._tell(alarm, self._edge_subscribers)
        self._keeper.keep(alarm)
        self._tell(alarm, self._subscribers)

    def _over(self, life: _Life) -> None:
        life.quiet.cancel()
        life.unclaimed = False
        # The clock may have been set back.
        raised = life.raises.save(self._moment())
        ended = life.alarm = replace(
            life.alarm, cleared_at=self._now(), unknown=False, flapping=False, raised=raised
        )
        self._ended.append(ended)
        del self._ended[:-REMEMBERED]
        why = ended.ended_by
        _log.info("alarm {alarm} is over{why}", alarm=ended.name, why=why and f": {why}")
        self._count(cleared=1, active=-1)
        if life.falling:
            self._tell_fall(life, ended)
        self._keeper.keep(ended)
        self._tell(ended, self._subscribers)

    def _tell_fall(self, life: _Life, ended: Alarm) -> None:
        life.falling = False
        self._tell(ended, self._edge_subscribers)

    def _count(self, raised: int = 0, cleared: int = 0, active: int = 0) -> None:
        was = self.ledger
        self.ledger = AlarmLedger(was.raised + raised, was.cleared + cleared, was.active + active)

    def _is_quiet(self, life: _Life) -> None:
        if life.holds is False:
            life.machine.quiet()
            return
        life.alarm = replace(life.alarm, flapping=False)
        life.machine.steady()
        self._change(life)

    def _change(self, life: _Life, **changes: Any) -> Alarm:
        """Change the record of an active alarm, keep it and tell."""
        raised = life.raises.save(self._moment())
        life.alarm = replace(life.alarm, raised=raised, **changes)
        self._keeper.keep(life.alarm)
        self._tell_change(life.alarm)
        return life.alarm

    def _change_soon(self, name: str) -> None:
        self._soon[name] = None
        if not self._soon_timer.running:
            self._soon_timer.start(SOON)

    def _tell_soon(self) -> None:
        self._soon_timer.cancel()
        names, self._soon = list(self._soon), {}
        for name in names:
            life = self._life(name)
            if life is not None and life.alarm.active:
                self._change(life)

    def _counted(self, found: AlarmLedger) -> None:
        self.ledger = found

    def _correct_times(self) -> None:
        """Mend the times of alarms that were raised before a wrong clock was set right."""
        if not self._clock_was_wrong or not (now := self._moment()).plausible:
            return
        self._clock_was_wrong = False
        for life in self._lives.values():
            if life.alarm.active and not _plausible(life.alarm):
                self._change(life, raised_at=_corrected(life.alarm, now).raised_at)
        for at, alarm in enumerate(self._ended):
            if not _plausible(alarm):
                self._ended[at] = _corrected(alarm, now)
                self._keeper.keep(self._ended[at])

    # -- what is known

    def active(self, source: str | None = None) -> list[Alarm]:
        """Return the raised alarms in the order in which they were raised."""
        self._correct_times()
        found = [life.alarm for life in self._active_of(source)]
        return sorted(found, key=lambda alarm: alarm.serial)

    def holding(self, source: str | None = None) -> list[Alarm]:
        """Return the alarms whose condition this process has seen to hold: what the platform is
        told of.
        """
        found = [life.alarm for life in self._active_of(source) if life.holds]
        return sorted(found, key=lambda alarm: alarm.serial)

    def _active_of(self, source: str | None) -> list[_Life]:
        return [
            life
            for life in self._lives.values()
            if life.alarm.active and (source is None or life.alarm.source == source)
        ]

    def all(self) -> list[Alarm]:
        """Return the raised alarms and the last `REMEMBERED` ended ones, newest first."""
        return sorted([*self.active(), *self._ended], key=lambda a: -a.serial)

    def history(self, since: float, until: float, limit: int) -> Deferred[list[Alarm]]:
        """Return alarms that were raised from `since` to `until`, Unix seconds, newest first; what
        is in memory while the disk does not answer.
        """
        self._correct_times()

        def fresh(stored: Sequence[Alarm]) -> list[Alarm]:
            now = {alarm.id: alarm for alarm in self.active()}
            return [now.get(alarm.id, alarm) for alarm in stored]

        def in_memory(failure: Failure) -> list[Alarm]:
            failure.trap(StoreFailed)
            return [each for each in self.all() if since <= each.raised_at <= until][:limit]

        found = self._keeper.history(since, until, limit)
        return found.addCallbacks(fresh, in_memory)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` when an alarm is raised and when it is cleared; returns the end."""
        return _subscribed(self._subscribers, subscriber)

    def subscribe_changes(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` when a raised alarm changes: by a person, by time, or since it flaps;
        returns the end. `subscribe` tells the rest.
        """
        return _subscribed(self._change_subscribers, subscriber)

    def subscribe_edges(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` at each rise and fall of a condition, also while an alarm is held that
        flaps; returns the end.
        """
        return _subscribed(self._edge_subscribers, subscriber)

    # -- what people do

    def acknowledge(self, name: str, by: str, note: str = "") -> Alarm:
        """Note that a person has seen an alarm. Raises CannotChange, as the others do."""
        life = self._active_life(name)
        life.alarm = replace(life.alarm, acked_at=self._now(), acked_by=by, note=note)
        life.machine.acknowledge()
        return self._change(life)

    def called(self, name: str, whom: str) -> None:
        """Note that a message about an active alarm has reached a target of notifications."""
        life = self._life(name)
        if life is not None and life.alarm.active:
            called = (*life.alarm.called, (whom, self._now()))[-MOST_CALLS:]
            self._change(life, called=called)

    def unacknowledge(self, name: str) -> Alarm:
        life = self._active_life(name)
        life.alarm = replace(life.alarm, acked_at=None, acked_by="", note="")
        life.machine.unacknowledge()
        return self._change(life)

    def shelve(self, name: str, seconds: float, by: str, note: str = "") -> Alarm:
        """Call nobody for an alarm for some seconds, also when the alarm is cleared and raised
        again meanwhile.
        """
        life = self._active_life(name)
        if life.alarm.emergency:
            raise CannotChange("never-muted", f"{name} is never muted")
        shelf = self._shelves.start(name, seconds, by, note)
        life.alarm = replace(life.alarm, shelved_until=shelf.until, note=note or life.alarm.note)
        life.machine.shelve()
        return self._change(life)

    def unshelve(self, name: str) -> Alarm:
        """Call people again for an alarm, be it active or not."""
        shelf = self._shelves.end(name)
        life = self._life(name)
        if shelf is None or life is None:
            life = self._active_life(name)
        if life.alarm.active:
            self._shelf_over(name)
        return life.alarm

    def _shelf_over(self, name: str) -> None:
        life = self._life(name)
        if life is not None and life.alarm.active:
            life.alarm = replace(life.alarm, shelved_until=None)
            life.machine.unshelve()
            self._change(life)

    def maintain(self, device: str, seconds: float, by: str, note: str = "") -> Mute:
        """Call nobody for the alarms of a device for some seconds, but for emergencies."""
        made = self._maintained.start(device, seconds, by, note)
        for life in self._active_of(device):
            if not life.alarm.emergency and not life.alarm.in_maintenance:
                life.alarm = replace(life.alarm, in_maintenance=True)
                life.machine.maintain()
                self._change(life)
        return made

    def end_maintenance(self, device: str) -> Mute:
        ended = self._maintained.end(device)
        if ended is None:
            raise CannotChange("no-maintenance", f"{device} is not under maintenance")
        self._work_over(device)
        return ended

    def _work_over(self, device: str) -> None:
        for life in self._active_of(device):
            if life.alarm.in_maintenance:
                life.alarm = replace(life.alarm, in_maintenance=False)
                life.machine.maintained()
                self._change(life)

    @property
    def maintenance(self) -> list[Mute]:
        return list(self._maintained)

    def _active_life(self, name: str) -> _Life:
        life = self._life(name)
        if life is not None and life.alarm.active:
            return life
        if life is None and not self.is_watched(name):
            raise CannotChange("no-such-alarm", f"there is no alarm {name}")
        raise CannotChange("not-active", f"{name} is not active")

    # -- telling

    def close(self) -> None:
        """Keep what is not kept yet, and cancel every timer."""
        for life in self._lives.values():
            life.quiet.cancel()
        self._tell_soon()
        self._shelves.stop()
        self._maintained.stop()
        self._keeper.stop()

    def _tell_change(self, alarm: Alarm) -> None:
        self._tell(alarm, self._change_subscribers)

    def _tell(self, alarm: Alarm, whom: list[Subscriber]) -> None:
        for subscriber in tuple(whom):
            try:
                subscriber(alarm)
            except Exception:
                _log.failure("a subscriber failed on the alarm {alarm}", alarm=alarm.name)


def _subscribed(subscribers: list[Subscriber], subscriber: Subscriber) -> Callable[[], None]:
    subscribers.append(subscriber)
    return lambda: subscribers.remove(subscriber)


def _plausible(alarm: Alarm) -> bool:
    return alarm.made is None or alarm.raised_at >= BUILT


def _corrected(alarm: Alarm, now: Moment) -> Alarm:
    """Return an alarm with the times of the present clock, as far as this boot tells them."""
    assert alarm.made is not None
    step = now.wall_of(alarm.made) - alarm.raised_at
    cleared = alarm.cleared_at
    if cleared is not None and cleared < BUILT:
        cleared += step
    return replace(alarm, raised_at=alarm.raised_at + step, cleared_at=cleared)
