"""What is told of alarms: the alarms as this room sees them, and the message that people get.

The message is the body of a webhook as it stands; other kinds make a text of the message.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

TimeText = Callable[[float], str]
"""From Unix seconds to RFC 3339 text with offset."""

LONGEST_TEXT = 1000  # characters of the message of an alarm
MOST_CONSEQUENCES = 100  # names in a message

CRITICAL, WARNING = "critical", "warning"


class Event(StrEnum):
    RAISED = "raised"
    REPEATED = "repeated"
    CLEARED = "cleared"


@dataclass(frozen=True)
class Notice:
    """An alarm that is raised now. `raised_at` is Unix seconds.

    `emergency` is an alarm that is never muted and never folded, such as smoke. People are not
    called for an alarm that is `muted`, and not called again for one that is `acknowledged`.
    `cause` is the name of the alarm that explains this one, empty without one. `id` tells an alarm
    from another one of the same name. `parts` names what the alarm is made of, where that is told
    with it alone: the gantries of an incident.
    """

    name: str
    severity: str
    en: str
    zh: str
    raised_at: float
    value: Any = None
    emergency: bool = False
    muted: bool = False
    acknowledged: bool = False
    cause: str = ""
    id: str = ""
    parts: Sequence[str] = ()

    @property
    def urgent(self) -> bool:
        """Whether neither quiet hours nor the pace of messages hold this alarm back."""
        return self.severity == CRITICAL or self.emergency


class AlarmTold(msgspec.Struct, frozen=True, rename="camel"):
    """An alarm within a message; `cleared_at` is null while the alarm is raised."""

    alarm: str
    severity: str
    message: str
    message_zh: str
    raised_at: str
    cleared_at: str | None = None
    value: Any = None
    consequences: Sequence[str] = ()


class Message(msgspec.Struct, frozen=True, rename="camel"):
    """A message: `id` is the same in each try, so that a receiver can drop a second copy."""

    id: str
    event: str
    gantry_id: str
    at: str
    alarms: Sequence[AlarmTold]

    def encode(self) -> bytes:
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, body: bytes) -> "Message":
        """Read a message that was stored. Raises ValueError."""
        return msgspec.json.decode(body, type=cls)


def message_of_a_test(id: str, gantry_id: str, at: str) -> Message:  # noqa: A002
    """Return the message of a test at the time `at`."""
    en, zh = "Test of notifications: nothing is wrong", "通知测试：一切正常"
    told = AlarmTold("notify.test", WARNING, en, zh, at)
    return Message(id, Event.RAISED.value, gantry_id, at, [told])


def consequences_of(notice: Notice, active: Mapping[str, Notice]) -> list[str]:
    """Return the names of the alarms that `notice` explains, directly or through others, and of
    its parts.
    """
    name = notice.name
    explained = [each for each in active if name in causes_of(each, active)]
    return [*explained, *notice.parts][:MOST_CONSEQUENCES]


def causes_of(name: str, active: Mapping[str, Notice]) -> list[str]:
    """Return the raised alarms that explain `name`, the nearest first."""
    found: list[str] = []
    notice = active.get(name)
    while notice is not None and notice.cause in active and notice.cause not in (name, *found):
        found.append(notice.cause)
        notice = active[notice.cause]
    return found
