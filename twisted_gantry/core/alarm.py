"""One alarm as it is told and kept, and what people did about it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from twisted_gantry.core.moments import Moment
from twisted_gantry.core.rules import Severity
from twisted_gantry.wire.emergencies import is_emergency
from twisted_gantry.wire.reading import Value


class Stage(StrEnum):
    """Where an alarm is in its life cycle (`core/lifecycle.py`)."""

    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    SHELVED = "shelved"
    MAINTENANCE = "maintenance"
    FLAPPING = "flapping"
    CLEARED = "cleared"


@dataclass(frozen=True)
class Raised:
    """When an alarm was raised of late: the ages in seconds at the moment `at`, with how often."""

    at: Moment
    ages: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True)
class Alarm:
    """A raised or ended alarm; times are Unix seconds.

    `name` is `<source>.<condition>`, or `<source>.<part>.<condition>` of a part of a device.
    `serial` counts the alarms as they were raised: times of a clock that was set back have no
    order. `id` is the same over restarts. `value` is the value that raised the alarm. `count` is
    how often the alarm was raised within `flap_window`, as of the last time; `flapping` is one that
    was raised too often, and is held. `acked_at` is when `acked_by` acknowledged it; `note` is what
    the last person who did something wrote. Nobody is called for an alarm that is shelved, before
    `shelved_until`, nor for one `in_maintenance`. `subject` is the device or part that an alarm of
    the site's own rules is about: its name is `rule.<name>`. `unknown`: the condition has not been
    seen since a restart. `ended_by` is one of `local_api.ENDINGS` if the condition was not seen to
    end. `made` is the moment of `raised_at`, `raised` the times before.
    """

    name: str
    severity: Severity
    en: str
    zh: str
    raised_at: float
    cleared_at: float | None = None
    group: str = ""
    serial: int = field(default=0, compare=False)
    id: str = field(default="", compare=False)
    value: Value = None
    count: int = 1
    flapping: bool = False
    acked_at: float | None = None
    acked_by: str = ""
    note: str = ""
    shelved_until: float | None = None
    in_maintenance: bool = False
    subject: str = ""
    unknown: bool = False
    ended_by: str = ""
    called: tuple[tuple[str, float], ...] = ()
    """Whom a message about this alarm has reached, and when in Unix seconds; the newest last."""
    made: Moment | None = field(default=None, compare=False)
    raised: Raised | None = field(default=None, compare=False)

    @property
    def source(self) -> str:
        """The device or uplink that the alarm is about."""
        return (self.subject or self.name).partition(".")[0]

    @property
    def about(self) -> str:
        """The source, or the part of it: `cfos.M1`."""
        return self.subject or self.name.rpartition(".")[0]

    @property
    def owner(self) -> str:
        """What watches the condition: a device, an uplink, or a part of the program."""
        return self.name.partition(".")[0]

    @property
    def condition(self) -> str:
        """The last part of the name: `smoke`."""
        return self.name.rpartition(".")[2]

    @property
    def active(self) -> bool:
        return self.cleared_at is None

    @property
    def stage(self) -> Stage:
        """Where the alarm is in its life cycle; of two that apply the first here counts."""
        if not self.active:
            return Stage.CLEARED
        if self.flapping:
            return Stage.FLAPPING
        if self.in_maintenance:
            return Stage.MAINTENANCE
        if self.shelved_until is not None:
            return Stage.SHELVED
        return Stage.RAISED if self.acked_at is None else Stage.ACKNOWLEDGED

    @property
    def emergency(self) -> bool:
        """Whether the alarm is never muted, and above all others."""
        return is_emergency(self.name)

    @property
    def muted(self) -> bool:
        """Whether nobody is to be called; the platform is told of every alarm."""
        quiet = self.shelved_until is not None or self.in_maintenance
        return quiet and not self.emergency

    @property
    def message(self) -> str:
        """The text for people, which says that the alarm flaps."""
        if not self.flapping:
            return self.en
        return f"{self.en} (flapping: raised {self.count} times, held until quiet)"

    @property
    def message_zh(self) -> str:
        if not self.flapping:
            return self.zh
        return f"{self.zh}（频繁波动：已发生{self.count}次，平静后恢复）"


def urgency(name: str, severity: str) -> tuple[bool, bool]:
    """Return what sorts alarms: smoke and flood above all, then critical ones, then warnings."""
    return not is_emergency(name), severity != Severity.CRITICAL


def most_urgent_first(alarms: Iterable[Alarm]) -> list[Alarm]:
    """Sort alarms by `urgency`, then the newest first."""
    return sorted(alarms, key=lambda a: (*urgency(a.name, a.severity), -a.serial))


@dataclass(frozen=True)
class AlarmLedger:
    """Counts of alarms since the store was made: raised = cleared + active."""

    raised: int = 0
    cleared: int = 0
    active: int = 0


@dataclass(frozen=True)
class AlarmsAtStart:
    """What the store has when the program starts: `recent` are the active alarms and the last ended
    ones, oldest first; `last` is the number of the newest.
    """

    recent: Sequence[Alarm] = ()
    ledger: AlarmLedger = AlarmLedger()
    last: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)


class CannotChange(Exception):
    """A person asked for what cannot be done; `code` says why: `no-such-alarm`, `not-active`,
    `never-muted`, `no-maintenance`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
