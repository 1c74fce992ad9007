"""What simulated gantries send in a drill, and the alarms that this raises."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

PERIOD = 300
CONDITIONS = ("mains-abnormal", "smoke")
Alarm = tuple[str, str, float, float | None]
"""Gantry, name, begin and end; None for an alarm that is open."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A report of a gantry, with the conditions that it raises."""

    gantry: str
    stamp: int
    raised: frozenset[str]

    @property
    def body(self) -> bytes:
        mains, smoke = ("mains-abnormal" in self.raised), ("smoke" in self.raised)
        status = {
            "id": "1",
            "elec": [{"id": "1", "status": "0" if mains else "1", "voltage": "220"}],
            "smokeSensor": {"status": "1", "isWarning": "1" if smoke else "0"},
        }
        envelope = {
            "gantryId": self.gantry,
            "method": "cabinetStatusUpdate",
            "timeStamp": str(self.stamp),
            "version": "1001",
            "cabinetStatus": status,
        }
        return json.dumps(envelope, separators=(",", ":")).encode()


def uploads(random: Random, gantry: str, first: int, count: int) -> list[Upload]:
    """Return the reports of a gantry in the order in which they are sent: some come late."""
    made: list[Upload] = []
    raised: frozenset[str] = frozenset()
    for step in range(count):
        if random.random() < 0.4:
            raised = frozenset(each for each in CONDITIONS if random.random() < 0.5)
        made.append(Upload(gantry, first + step * PERIOD, raised))
    for place in range(count - 4):
        if random.random() < 0.15:
            made.insert(place + random.randint(1, 4), made.pop(place))
    return made


def alarms(sent: Iterable[Upload]) -> set[Alarm]:
    """Return the alarms of all reports: each runs from the first report that raises it to the next
    one that does not.
    """
    found: set[Alarm] = set()
    open_since: dict[tuple[str, str], float] = {}
    for upload in sorted(sent, key=lambda each: (each.gantry, each.stamp)):
        for condition in CONDITIONS:
            key = (upload.gantry, f"cabinet-1.{condition}")
            if condition in upload.raised:
                open_since.setdefault(key, float(upload.stamp))
            elif key in open_since:
                found.add((*key, open_since.pop(key), float(upload.stamp)))
    return found | {(*key, since, None) for key, since in open_since.items()}


def shares(sent: Sequence[Upload], count: int) -> list[list[Upload]]:
    """Deal the reports out to senders, a gantry to one."""
    names = sorted({each.gantry for each in sent})
    return [[e for e in sent if names.index(e.gantry) % count == n] for n in range(count)]
