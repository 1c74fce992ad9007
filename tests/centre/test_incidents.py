"""Which alarms become one incident: pure plans."""

from collections.abc import Iterable

from twisted_gantry.centre.conditions import condition
from twisted_gantry.centre.incidents import TOGETHER, Case, CausedAlarm, Place, plan

T = 1_796_054_400.0
NORTH: Place = ("G2", "north")


def alarm(
    which: int, gantry: str, name: str, at: float, incident: int | None = None
) -> CausedAlarm:
    name = f"cabinet-1.{name}"
    return CausedAlarm(which, gantry, name, condition(name).severity, T + at, incident)


def planned(
    alarms: Iterable[CausedAlarm], known: Iterable[Case] = (), size: int = 30
) -> list[tuple[int | None, str, str | None, list[int]]]:
    """Return the changed incidents: id, cause, gantry and what joins, in the order of these."""
    alarms = list(alarms)
    places = {each.gantry: NORTH if each.gantry.startswith("G") else ("", "") for each in alarms}
    cases = plan(alarms, known, places, {NORTH: size})
    return sorted(((e.id, e.cause, e.gantry, sorted(e.joined)) for e in cases), key=lambda e: e[3])


def case(
    which: int, cause: str, gantry: str | None, since: float, grew: float | None = None
) -> Case:
    return Case(which, cause, NORTH, gantry, T + since, T + (since if grew is None else grew))


def test_a_cause_at_a_gantry_is_one_incident() -> None:
    """What the graph explains stands under its cause; smoke stands alone."""
    found = planned(
        alarm(n, "G1", name, n)
        for n, name in enumerate(("on-battery", "mains-abnormal", "rectifier-fault", "smoke"), 1)
    )
    assert found == [(None, "mains-abnormal", "G1", [1, 2, 3]), (None, "smoke", "G1", [4])]


def test_a_cause_that_comes_after_its_consequence_names_the_incident() -> None:
    """The incident of the consequence takes the cause in."""
    alarms = [alarm(1, "G1", "on-battery", 0, 7), alarm(2, "G1", "mains-abnormal", 5)]
    assert planned(alarms, [case(7, "on-battery", "G1", 0)]) == [(7, "mains-abnormal", "G1", [2])]


def test_what_follows_joins_while_the_incident_lives() -> None:
    """An alarm that is explained later joins; an unexplained one is an incident of its own."""
    alarms = [
        alarm(1, "G1", "mains-abnormal", 0, 7),
        alarm(2, "G1", "air-conditioner-fault", 60),
        alarm(3, "G1", "ups-fault", 60),
    ]
    known = [case(7, "mains-abnormal", "G1", 0)]
    assert planned(alarms, known) == [
        (7, "mains-abnormal", "G1", [2]),
        (None, "ups-fault", "G1", [3]),
    ]


def test_one_cause_at_three_gantries_of_a_section_is_one_incident() -> None:
    """Two are two, the third makes them one under the oldest id; the next ones join."""
    two = [alarm(n, f"G{n}", "mains-abnormal", 60 * n) for n in (1, 2)]
    assert [e[2] for e in planned(two)] == ["G1", "G2"]
    known = [case(n, "mains-abnormal", f"G{n}", 60 * n) for n in (1, 2)]
    third = alarm(3, "G3", "mains-abnormal", 180)
    assert planned([third], known) == [(1, "mains-abnormal", None, [3])]
    [one] = plan(
        [third],
        [case(n, "mains-abnormal", f"G{n}", 60 * n) for n in (1, 2)],
        {"G3": NORTH},
        {NORTH: 30},
    )
    assert (one.merged, one.since, one.grew) == ([2], T + 60, T + 180)
    late = alarm(4, "G4", "mains-abnormal", 180 + TOGETHER)
    assert planned([late], [case(1, "mains-abnormal", None, 60, 180)]) == [
        (1, "mains-abnormal", None, [4])
    ]
    later = alarm(5, "G5", "mains-abnormal", 181 + TOGETHER)
    assert planned([later], [case(1, "mains-abnormal", None, 60, 180)]) == [
        (None, "mains-abnormal", "G5", [5])
    ]


def test_in_a_small_section_a_third_is_enough() -> None:
    """Of six gantries two are enough; one never is."""
    two = [alarm(n, f"G{n}", "mains-abnormal", n) for n in (1, 2)]
    assert planned(two, size=6) == [(None, "mains-abnormal", None, [1, 2])]
    assert len(planned(two, size=7)) == 2
    assert planned(two[:1], size=1) == [(None, "mains-abnormal", "G1", [1])]


def test_what_is_far_apart_is_not_one() -> None:
    """Other times, other causes, gantries without a road, and emergencies stay apart."""
    spread = [alarm(n, f"G{n}", "mains-abnormal", n * (TOGETHER + 1)) for n in (1, 2, 3)]
    assert len(planned(spread)) == 3
    assert len(planned([alarm(n, f"X{n}", "mains-abnormal", n) for n in (1, 2, 3)])) == 3
    assert len(planned([alarm(n, f"G{n}", "smoke", n) for n in (1, 2, 3)])) == 3
    assert len(planned([alarm(n, f"G{n}", "front-door-open", n) for n in (1, 2, 3)])) == 3
