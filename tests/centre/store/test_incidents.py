"""Incidents over the alarms in the database, and what the views tell of both."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tests.centre.store.samples import report
from twisted_gantry.centre.conditions import SILENT
from twisted_gantry.centre.interfaces import Job, Session
from twisted_gantry.centre.model import Gantry, GantryState, Received
from twisted_gantry.centre.store import alarm_views, alarms, care, incidents, mutes, registry, views
from twisted_gantry.centre.store.alarm_views import Struck
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import START

KEY = "w5rd1_yk0hgdqRoYgNTo5wgAXM7bpvLu0s37B_x5lZg="
IDS = [f"G{n:02}" for n in range(12)]


@pytest.fixture
def filing() -> Filing:
    return Filing("front-1")


def did(store: InlineStore, job: Job[Any]) -> Any:
    """Run a job in a transaction; returns its result."""
    found: list[Any] = []
    store.write(job).addCallback(found.append)
    return found[0]


def fill(session: Session) -> None:
    """Twelve gantries on two roads of two sections, and one that waits."""
    known = [
        Gantry(each, f"门架{each}", "G2" if n < 10 else "S1", "north" if n < 6 else "south")
        for n, each in enumerate(IDS)
    ]
    registry.put(session, [*known, Gantry("G99", pending=True)], Sealing(KEY))


def at(gantry: str, seconds: float, raised: str = "", minutes: float | None = None) -> Received:
    made = report(gantry, START + seconds, raised=raised)
    on_battery = minutes is not None
    told = replace(made.told[0], battery_minutes=minutes, on_battery=on_battery)
    return replace(made, told=(told,))


def struck(store: InlineStore, **more: Any) -> list[Struck]:
    return list(did(store, lambda session: alarm_views.incident_views(session, **more)).rows)


def told(store: InlineStore, **more: Any) -> list[Any]:
    return [
        (e.incident.id, e.incident.cause, e.incident.gantry, e.incident.gantries, e.incident.ended)
        for e in struck(store, **more)
    ]


def test_a_regional_failure_lives_and_ends_as_one_incident(store: InlineStore) -> None:
    """An incident keeps its id over every refresh, and ends with its last alarm."""
    did(store, fill)
    store.put_all([at(IDS[0], 0, "mains-abnormal on-battery", 60.0), at(IDS[1], 10, "smoke")])
    assert did(store, incidents.refresh)
    assert not did(store, incidents.refresh)
    assert told(store) == [(2, "smoke", IDS[1], 1, None), (1, "mains-abnormal", IDS[0], 1, None)]
    store.put_all([at(each, 30, "mains-abnormal", 30.0) for each in IDS[2:5]])
    did(store, incidents.refresh)
    [smoke, regional] = struck(store, active=True)
    assert smoke.incident.cause == "smoke"  # emergencies stand above all
    assert (regional.incident.id, regional.incident.gantry) == (1, None)
    assert (regional.incident.gantries, regional.incident.since) == (4, START)
    assert regional.incident.severity == "critical"
    assert regional.alarms == ("cabinet-1.mains-abnormal", "cabinet-1.on-battery")
    assert regional.battery_minutes is not None
    assert regional.battery_minutes <= 30.5
    # People acknowledge it whole; one that joins later is new.
    did(store, lambda s: care.acknowledge(s, care.incident(s, 1), "li"))
    assert struck(store)[1].acked_by == "li"
    store.put_all([at(IDS[5], 40, "mains-abnormal")])
    did(store, incidents.refresh)
    assert struck(store)[1].acked_by == ""
    # Its children end one after another.
    store.put_all([at(each, 100) for each in (IDS[0], *IDS[2:5])])
    did(store, incidents.refresh)
    assert told(store)[1] == (1, "mains-abnormal", None, 5, None)
    store.put_all([at(IDS[5], 120)])
    did(store, incidents.refresh)
    assert told(store)[1] == (1, "mains-abnormal", None, 5, START + 120)
    assert [each.incident.id for each in struck(store, active=True)] == [2]
    # A failure after that is another one.
    store.put_all([at(IDS[0], 200, "mains-abnormal")])
    did(store, incidents.refresh)
    found = told(store)
    assert found[0][1:] == ("mains-abnormal", IDS[0], 1, None)
    assert found[0][0] not in (1, 2)
    assert did(store, alarm_views.open_incidents) == 2
    assert did(store, lambda s: alarm_views.open_incidents(s, ["S1"])) == 0


def test_incidents_that_become_one_are_found_by_either_id(memory: InlineStore) -> None:
    """The merged ones are in no list, and lead to the one that has their alarms."""
    did(memory, fill)
    one_more = Gantry("G12", road="G2", section="north")
    did(memory, partial(registry.put, given=[one_more], sealing=Sealing(KEY)))
    for n in (0, 1, 2):
        memory.put_all([at(IDS[n], 10 * n, "mains-abnormal")])
        did(memory, incidents.refresh)
    assert told(memory) == [(1, "mains-abnormal", None, 3, None)]
    for which in (1, 2):
        found = did(memory, partial(alarm_views.incident_view, incident=which))
        assert found.incident.id == 1
    assert did(memory, lambda s: alarm_views.incident_view(s, 1, ["S1"])) is None
    assert did(memory, lambda s: alarm_views.incident_view(s, 77)) is None


def test_an_alarm_between_two_looks_has_its_incident(memory: InlineStore) -> None:
    """What began and ended within a second is an incident that is over; a late alarm has none."""
    did(memory, fill)
    memory.put_all([at(IDS[0], 0, "smoke"), at(IDS[0], 1), at(IDS[0], 100)])
    memory.put_all([replace(at(IDS[0], 50, "water"), received_at=START + 200)])
    did(memory, incidents.refresh)
    assert told(memory) == [(1, "smoke", IDS[0], 1, START + 1)]
    page = did(memory, lambda s: alarm_views.alarm_history(s))
    assert [(e.name, e.late, e.incident) for e in page.rows] == [
        ("cabinet-1.water", True, None),
        ("cabinet-1.smoke", False, 1),
    ]


def test_the_incident_of_a_gantry_that_is_removed_ends(memory: InlineStore) -> None:
    """The open alarms of a gantry that is removed from the registry make no incident last."""
    did(memory, fill)
    memory.put_all([at(IDS[0], 0, "smoke")])
    did(memory, incidents.refresh)
    did(memory, lambda s: registry.remove(s, IDS[0]))
    did(memory, incidents.refresh)
    assert struck(memory, active=True) == []
    memory.put_all([at("G77", 0, "smoke")])
    assert not did(memory, incidents.refresh)


def test_incidents_follow_a_gantry_that_is_moved(store: InlineStore) -> None:
    """The incident of a gantry goes with it; that of a section loses the gantry."""
    did(store, fill)
    store.put_all([at(each, 0, "mains-abnormal") for each in IDS[:4]] + [at(IDS[7], 0, "overload")])
    did(store, incidents.refresh)

    def move(session: Session) -> None:
        moved = [Gantry(each, road="G9", section="east") for each in (IDS[0], IDS[7])]
        registry.put(session, moved, Sealing(KEY))

    did(store, move)
    did(store, incidents.refresh)
    shown = {
        (e.incident.road, e.incident.section, e.incident.cause): e.incident.gantries
        for e in struck(store)
    }
    assert shown == {
        ("G2", "north", "mains-abnormal"): 3,
        ("G9", "east", "mains-abnormal"): 1,
        ("G9", "east", "overload"): 1,
    }


def test_gantries_are_listed_as_they_are(store: InlineStore) -> None:
    """State, since, battery minutes and alarms of each; filters, orders and pages agree."""
    did(store, fill)
    now = did(store, lambda session: session.now())
    age = now - START
    store.put_all([at(each, age) for each in IDS[:9]])
    store.put_all(
        [
            at(IDS[1], age + 0.1, "mains-abnormal front-door-open", 90.0),
            at(IDS[2], age + 0.2, "mains-abnormal", 30.0),
            at(IDS[3], age + 0.3, "front-door-open"),
            at(IDS[4], age + 0.4, "smoke"),
            at(IDS[6], age + 0.5, "mains-abnormal"),
        ]
    )
    did(store, lambda s: alarms.begin(s, IDS[5], SILENT, now + 1))
    for place in ({"gantry": IDS[4]}, {"gantry": IDS[7]}, {"road": "S1"}):
        muted = mutes.place(**place)
        did(store, partial(mutes.begin, muted=muted, seconds=3600, who="li"))

    def listed(**more: Any) -> list[str]:
        return [each.gantry.id for each in did(store, lambda s: views.gantry_views(s, **more)).rows]

    states = {
        each.gantry.id: each.state
        for each in did(store, lambda session: views.gantry_views(session)).rows
    }
    names = "well critical critical warning critical silent critical maintenance well never"
    assert [states[each].value for each in IDS] == [*names.split(), "maintenance", "maintenance"]
    counts = did(store, views.overview)
    assert counts[GantryState.CRITICAL] == len(listed(state=GantryState.CRITICAL)) == 4
    assert sum(counts.values()) == len(IDS)
    assert did(store, lambda s: views.overview(s, ["S1"]))[GantryState.MAINTENANCE] == 2
    south = did(store, views.sections)["G2", "south"]
    assert south == {"critical": 1, "maintenance": 1, "well": 1, "never": 1}

    assert listed(mains_off=True, sort="batteryMinutes") == [IDS[2], IDS[1], IDS[6]]
    assert listed(sort="batteryMinutes")[:3] == [IDS[2], IDS[1], IDS[0]]
    assert listed(sort="since")[0] == IDS[5]
    assert listed(sort="since")[-1] == IDS[9]
    assert listed(road="G2", section="south") == IDS[6:10]
    assert listed(roads=["S1"]) == IDS[10:]
    assert listed(q="g1%") == []
    assert listed(q="门架g11") == [IDS[11]]
    for sort in ("id", "batteryMinutes", "since"):
        assert paged(store, sort) == listed(sort=sort)

    one = did(store, lambda s: views.gantry_view(s, IDS[1].lower().upper()))
    assert (one.alarms, one.mains_off) == (
        ("cabinet-1.mains-abnormal", "cabinet-1.front-door-open"),
        True,
    )
    assert one.battery_minutes is not None
    assert 89 < one.battery_minutes <= 90.1
    assert one.since == pytest.approx(now + 0.1)
    assert one.last_report == pytest.approx(now + 1.1)
    assert did(store, lambda s: views.gantry_view(s, "G99")).gantry.pending
    assert did(store, lambda s: views.gantry_view(s, "G98")) is None


def paged(store: InlineStore, sort: str) -> list[str]:
    """Return the ids of all pages of five."""
    found: list[str] = []
    after = None
    for _ in range(3):
        page = did(store, partial(views.gantry_views, sort=sort, after=after, limit=5))
        assert page.total == len(IDS)
        found += [each.gantry.id for each in page.rows]
        after = page.after
    assert after is None
    return found


def test_battery_minutes_count_down(memory: InlineStore, clock: Any) -> None:
    """What is left is that of the report less the time since, and never under zero."""
    did(memory, fill)
    memory.put_all([at(IDS[0], 0, "mains-abnormal", 10.0)])
    left = []
    for seconds in (0, 240, 600):
        clock.advance(seconds)
        left.append(did(memory, lambda s: views.gantry_view(s, IDS[0])).battery_minutes)
    assert left == [10.0, 6.0, 0.0]


def test_the_history_of_alarms_is_paged(memory: InlineStore) -> None:
    """Newest first; filters for time, place and incident hold."""
    did(memory, fill)
    for n in range(6):
        memory.put_all([at(IDS[n], 10 * n, "smoke"), at(IDS[n], 10 * n + 15)])
    memory.put_all([at(IDS[10], 100, "water")])
    did(memory, incidents.refresh)

    def history(**more: Any) -> Any:
        return did(memory, lambda s: alarm_views.alarm_history(s, **more))

    assert [e.began - START for e in history().rows] == [100, 50, 40, 30, 20, 10, 0]
    first = history(limit=4)
    second = history(limit=4, after=first.after)
    assert [*first.rows, *second.rows] == history().rows
    assert second.after is None
    assert [e.gantry for e in history(active=True).rows] == [IDS[10]]
    assert [e.gantry for e in history(gantry=IDS[1]).rows] == [IDS[1]]
    assert [e.gantry for e in history(roads=["S1"]).rows] == [IDS[10]]
    assert history(road="G2", section="south").rows == []
    assert [e.began - START for e in history(since=START + 45, until=START + 50).rows] == [40, 30]
    assert [e.name for e in history(incident=history().rows[0].incident).rows] == [
        "cabinet-1.water"
    ]
    assert did(memory, alarm_views.open_alarms) == 1
    assert did(memory, alarm_views.alarm_rate) == 7
    assert did(memory, lambda s: alarm_views.alarm_rate(s, 3600, ["S1"])) == 1
    pages = [struck(memory, limit=4)]
    last = did(memory, lambda s: alarm_views.incident_views(s, limit=4)).after
    pages.append(struck(memory, limit=4, after=last))
    assert [*pages[0], *pages[1]] == struck(memory)
    assert did(memory, lambda s: alarm_views.incident_views(s, active=True, limit=1)).after is None
    memory.put_all([at(IDS[11], 200, "ups-fault"), at(IDS[11], 201, "ups-fault ups-warning")])
    memory.put_all([at(IDS[10], 202, "water mains-warning")])
    did(memory, incidents.refresh)
    by_urgency, after = [], None
    for _ in range(3):
        page = did(memory, partial(alarm_views.incident_views, active=True, limit=1, after=after))
        by_urgency += [each.incident.cause for each in page.rows]
        after = page.after
    assert (by_urgency, after) == (["water", "ups-fault", "mains-warning"], None)
