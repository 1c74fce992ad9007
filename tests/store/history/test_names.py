"""Names of points in the history: bounded for each device, reused, and freed with their data."""

import pytest

from tests.store.history.rig import DAY0, Rig
from twisted_gantry.store.history import names, sqlite
from twisted_gantry.store.history.schema import MAX_POINTS

HOUR = 3600.0


@pytest.fixture
def rig() -> Rig:
    return Rig()


def numbers(rig: Rig) -> dict[str, int]:
    return {str(name): int(str(number)) for number, name in rig.rows("SELECT id, name FROM point")}


def test_changing_names_of_a_device_are_bounded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ever new rows of a cabinet take no number of another device."""
    monkeypatch.setattr(names, "MOST_OF_DEVICE", 50)
    rig.add("ups1.volts", (0.0, 220.0))
    for upload in range(60):
        for row in range(5):
            rig.add(f"cab1.air_conditioners.{upload}-{row}.status", (upload * HOUR, 1.0))
    rig.add("ups1.amps", (60 * HOUR, 3.0))
    rig.now = 60 * HOUR
    known = numbers(rig)
    assert sum(name.startswith("cab1.") for name in known) == 50
    assert max(known.values()) <= 52
    assert "cab1.air_conditioners.59-4.status" in known
    assert rig.query("ups1.amps", 60 * HOUR - 60)[-1][2] == 3.0


def test_names_in_use_do_not_give_way(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound, a name that was recorded within two hours stays; the new one is refused."""
    monkeypatch.setattr(names, "MOST_OF_DEVICE", 2)
    rig.add("cab1.a", (0.0, 1.0))
    rig.add("cab1.b", (0.0, 2.0))
    rig.add("cab1.c", (HOUR, 3.0))
    assert set(numbers(rig)) == {"cab1.a", "cab1.b"}
    rig.add("cab1.a", (2.5 * HOUR, 1.0))
    rig.add("cab1.c", (2.5 * HOUR, 3.0))
    assert set(numbers(rig)) == {"cab1.a", "cab1.c"}


@pytest.mark.parametrize("step", [1.0, 60.0, 900.0, HOUR])
def test_a_new_name_has_none_of_the_old_values(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """The number of the old name holds older data; the new name shows its own alone."""
    monkeypatch.setattr(names, "MOST_OF_DEVICE", 1)
    rig.steady("cab1.a", 0, 2 * 3600, 1.0)
    rig.add("cab1.a", (2 * HOUR, None))
    rig.settled(3)
    rig.steady("cab1.b", 5 * 3600, 7 * 3600, 2.0)
    rig.settled(8)
    assert set(numbers(rig)) == {"cab1.b"}
    found = rig.query("cab1.b", 0.0, 7 * HOUR, step)
    assert {row[2] for row in found} == {2.0}
    assert rig.query("cab1.a", 0.0, 7 * HOUR, step) == []


def test_names_go_with_their_data(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once every tier has dropped what a name recorded, its number is free again."""
    monkeypatch.setattr(sqlite, "MOST_BYTES", 0)  # each tier keeps 24 slots
    rig.add("cab1.a", (0.0, 1.0))
    rig.settled(2)
    day = 24 * HOUR
    for _ in range(30):
        rig.add("ups1.volts", (rig.now, 220.0))
        rig.now += day
        rig.settle()
    assert numbers(rig) == {"ups1.volts": 2}
    rig.db.execute("INSERT INTO point (id, name, last) VALUES (65535, 'x.y', 9e15)")
    rig.add("cab1.b", (rig.now, 1.0))
    assert numbers(rig) == {"cab1.b": 1, "ups1.volts": 2, "x.y": 65535}


def test_when_all_numbers_are_used_the_oldest_name_gives_way(rig: Rig) -> None:
    """The file holds 65,535 names; a further one takes the number that was used least recently."""
    rows = [(number, f"d{number}.x", (DAY0 + number) * 1000) for number in range(1, MAX_POINTS + 1)]
    rig.db.executemany("INSERT INTO point (id, name, last) VALUES (?,?,?)", rows)
    rig.add("new.x", (100 * HOUR, 1.0))
    known = numbers(rig)
    assert known["new.x"] == 1
    assert len(known) == MAX_POINTS
