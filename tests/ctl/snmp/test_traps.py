"""Traps: every edge of an alarm once, whatever happens to the stream."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.ctl.snmp.site import NOW, alarm, snapshot
from twisted_gantry.ctl.client import ApiError
from twisted_gantry.ctl.snmp import gantry_mib, traps
from twisted_gantry.ctl.snmp.traps import LOST_S, REPEAT_S, Follower, Objects, arguments
from twisted_gantry.ctl.snmp.tree import Oid
from twisted_gantry.wire.local_api import AlarmView

_NAMES = {
    gantry_mib.RAISED: "raised",
    gantry_mib.CLEARED: "cleared",
    gantry_mib.LOST: "lost",
    gantry_mib.BACK: "back",
    traps.ON_BATTERY: "on battery",
    traps.ADDED: "added",
    traps.REMOVED: "removed",
}


class Ended(Exception):
    """The run of a test is over."""


class Manager:
    """Hears the traps of a follower; `streams` are what the gantry streams, one after another."""

    def __init__(self, *streams: list[tuple[str, Any]]) -> None:
        self.heard: list[tuple[str, str]] = []
        self.objects: list[Objects] = []
        self.now = 0.0
        self.streams = list(streams)
        self.follower = Follower(
            lambda: snapshot(alarm("ups1.on-battery")),
            self._events,
            self._hear,
            lambda: NOW,
            lambda: self.now,
        )

    def _events(self) -> Iterator[tuple[str, bytes]]:
        if not self.streams:
            raise ApiError("cannot-connect")
        for event, content in self.streams.pop(0):
            if event == "later":
                self.now += content
                yield "", b""
            else:
                yield event, msgspec.json.encode(content)
        raise ApiError("broke-off")

    def _hear(self, trap: Oid, objects: Objects) -> None:
        told = [value.text for value in objects.values()]
        what = told[0] if trap[:-1] == gantry_mib.NOTIFICATIONS and told else ""
        if trap in (traps.ADDED, traps.REMOVED):
            what = told[1].rpartition(".")[2]
        self.heard.append((_NAMES[trap], what))
        self.objects.append(objects)

    def follow(self, pauses: int = 0) -> list[tuple[str, str]]:
        """Let it follow until so many pauses are over; returns what was heard meanwhile."""
        before, left = len(self.heard), [pauses]

        def pause(seconds: float) -> None:
            self.now += seconds
            if not left[0]:
                raise Ended
            left[0] -= 1

        with pytest.raises(Ended):
            self.follower.run(pause)
        return self.heard[before:]


def whole(*alarms: AlarmView) -> list[tuple[str, Any]]:
    """Return the beginning of a stream: a snapshot with these alarms."""
    rows: list[tuple[str, Any]] = [("alarm", each) for each in alarms]
    return [("snapshot", {"events": len(rows)}), *rows, ("live", {})]


def over(name: str) -> tuple[str, AlarmView]:
    return "alarm", alarm(name, cleared_at="2026-09-21T22:14:00.000+08:00")


def test_an_edge_is_told_once() -> None:
    """An alarm is raised and cleared; a change of its text is no edge."""
    manager = Manager(
        [
            *whole(),
            ("alarm", alarm("etc.offline")),
            ("alarm", alarm("etc.offline", message="another text")),
            over("etc.offline"),
            over("etc.offline"),
        ]
    )
    assert manager.follow() == [("raised", "etc.offline"), ("cleared", "etc.offline")]
    assert [value.text for value in manager.objects[0].values()] == [
        *("etc.offline", "2", "etc.offline holds", "告警", "2026-09-21T22:13:00.000+08:00")
    ]


def test_what_is_active_at_the_start_is_told() -> None:
    """A manager that was told nothing hears of every active alarm."""
    manager = Manager(whole(alarm("etc.offline")))
    assert manager.follow() == [("raised", "etc.offline")]


def test_a_gap_loses_no_edge() -> None:
    """After a gap the difference is told: ended, new, and ended with another in its place."""
    kept, again = alarm("kept.offline"), "2026-09-21T22:30:00.000+08:00"
    manager = Manager(
        whole(alarm("old.offline"), kept, alarm("twice.offline")),
        whole(kept, alarm("new.offline"), alarm("twice.offline", raised_at=again)),
    )
    manager.follow()
    assert manager.follow() == [
        *(("cleared", "old.offline"), ("cleared", "twice.offline")),
        *(("raised", "new.offline"), ("raised", "twice.offline")),
    ]


def test_a_broken_snapshot_is_none() -> None:
    """A snapshot that does not come whole tells nothing, least of all that alarms are over."""
    manager = Manager(
        whole(alarm("a.offline")),
        [("snapshot", {"events": 2}), ("alarm", alarm("b.offline"))],
        whole(alarm("a.offline"), alarm("b.offline")),
    )
    manager.follow()
    assert manager.follow() == []
    assert manager.follow() == [("raised", "b.offline")]


def test_a_gantry_that_is_gone_is_told_once() -> None:
    """After some seconds without it, and when it is back."""
    manager = Manager(whole(alarm("a.offline")))
    manager.follow()
    assert manager.follow(pauses=round(LOST_S)) == [("lost", "")]
    manager.streams.append(whole())
    assert manager.follow() == [("back", ""), ("cleared", "a.offline")]


def test_a_ups_has_the_traps_of_the_rfc() -> None:
    """Alarms of a UPS are entries of its alarm table, too: each well-known one once."""
    manager = Manager(
        [
            *whole(),
            ("alarm", alarm("ups1.mains-abnormal")),
            ("alarm", alarm("ups1.phase-l1-lost")),
            over("ups1.mains-abnormal"),
            over("ups1.phase-l1-lost"),
        ]
    )
    assert manager.follow() == [
        *(("raised", "ups1.mains-abnormal"), ("added", "6"), ("raised", "ups1.phase-l1-lost")),
        *(("cleared", "ups1.mains-abnormal"), ("cleared", "ups1.phase-l1-lost"), ("removed", "6")),
    ]


def test_a_ups_on_battery_is_told_each_minute() -> None:
    """As RFC 1628 has it, until it is over."""
    manager = Manager(
        [
            *whole(alarm("ups1.on-battery")),
            ("later", REPEAT_S / 2),
            ("later", REPEAT_S / 2),
            over("ups1.on-battery"),
            ("later", REPEAT_S),
        ]
    )
    assert manager.follow() == [
        *(("raised", "ups1.on-battery"), ("on battery", ""), ("on battery", "")),
        *(("cleared", "ups1.on-battery"), ("removed", "2")),
    ]
    told = [value.text for value in manager.objects[1].values()]
    assert told == ["59", "20", "5", "ups1"]


def test_the_arguments_are_those_of_snmptrap() -> None:
    """An object is its identifier, the letter of its type, and its value."""
    manager = Manager(whole(alarm("a.b")))
    manager.follow()
    oid = ".1.3.6.1.4.1.8072.9999.9999.3699"
    given = arguments(gantry_mib.RAISED, manager.objects[0])
    assert given[:8] == [
        *("", f"{oid}.0.1", f"{oid}.1.4.1.6.97.46.98", "s", "a.b"),
        *(f"{oid}.1.4.1.2.97.46.98", "i", "2"),
    ]
