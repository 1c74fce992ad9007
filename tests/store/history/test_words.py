"""Texts in the history: kept as they were, and rolled up to the state that held longest."""

import pytest

from tests.store.history.rig import HOLD, Rig
from twisted_gantry.store.history import words

DAY = 86_400


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_text_is_what_was_kept(rig: Rig) -> None:
    """Each step has the text that held longest in it; a gap is a gap."""
    rig.now = 400.0
    rig.add("ups1.state", (0, "line"), (70, "battery"), (100, "line"), (180, None))
    assert rig.states("ups1.state") == [(0, "line"), (60, "line"), (120, "line")]
    assert rig.states("ups1.state", step=10.0)[6:12] == [
        (60, "line"),
        (70, "battery"),
        (80, "battery"),
        (90, "battery"),
        (100, "line"),
        (110, "line"),
    ]
    assert rig.query("ups1.state") == []


def test_the_longest_state_of_each_tier(rig: Rig) -> None:
    """A minute, a quarter of an hour and a day tell which state held longest in them, also when
    the samples are gone.
    """
    hour: list[tuple[float, str]] = []
    for at in range(0, 3600, 60):
        hour += [(float(at), "line"), (at + 20.0, "battery")]  # 40 s of each minute
    rig.add("p", *hour)
    rig.add("p", *((3600.0 + at, "bypass") for at in range(0, 7200, 60)), (10_800.0, None))
    rig.settled(4)
    assert {text for _, text in rig.states("p", 0, 3599)} == {"battery"}
    assert {text for _, text in rig.states("p", 3600, 7199)} == {"bypass"}
    rig.settle(2.0 * DAY)
    rig.db.execute("DELETE FROM raw")
    rig.db.execute("DELETE FROM minute")
    rig.db.execute("DELETE FROM slot WHERE tier != 'quarter'")
    quarters = rig.states("p", 0, 7199, 900.0)
    assert quarters == [(n * 900.0, "battery" if n < 4 else "bypass") for n in range(8)]
    assert rig.states("p", 0, DAY - 1.0, float(DAY)) == [(0.0, "bypass")]


def test_after_a_restart_the_texts_are_the_same(rig: Rig) -> None:
    """What stands for a text is kept in the file."""
    rig.now = 100.0
    rig.add("p", (0, "充电"), (60, "放电"))
    rig.history = rig.opened()
    rig.add("p", (90, "充电"))
    assert rig.states("p", step=30.0) == [(0, "充电"), (30, "充电"), (60, "放电"), (90, "充电")]


def test_a_point_that_becomes_a_number(rig: Rig) -> None:
    """Texts and numbers of one name do not become each other."""
    rig.now = 300.0
    rig.add("p", (0, "ok"), (60, 5.0), (120, 7.0), (180, None))
    assert rig.states("p") == [(0, "ok")]
    assert rig.query("p") == [(60, 5.0, 5.0, 5.0), (120, 7.0, 7.0, 7.0)]


def test_texts_without_end_are_one(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that never repeats, such as a time, fills neither the file nor the place of others."""
    monkeypatch.setattr(words, "MOST_OF_POINT", 4)
    rig.now = 600.0
    rig.add("p", *((n * 60.0, f"text {n}") for n in range(8)))
    rig.add("q", (0, "fine"))
    found = [text for _, text in rig.states("p", until=479.0)]
    assert found == ["text 0", "text 1", "text 2", *["…"] * 5]
    assert rig.states("q", until=59.0) == [(0, "fine")]
    assert len(rig.rows("SELECT id FROM word")) == 5


def test_a_long_text_is_shortened(rig: Rig) -> None:
    """A device that sends a page as its state costs 200 characters."""
    rig.now = 60.0
    rig.add("p", (0, "x" * 5000))
    assert rig.states("p", until=59.0) == [(0, "x" * 200)]


def test_a_name_that_gives_way_takes_its_texts_along(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of a point is used again, its texts are not."""
    monkeypatch.setattr("twisted_gantry.store.history.names.MOST_OF_DEVICE", 1)
    rig.add("d.old", (0, "on"))
    rig.now = 3.0 * DAY
    rig.add("d.new", (3.0 * DAY, "off"))
    assert rig.rows("SELECT text FROM word") == [("off",)]
    assert rig.states("d.new", 3.0 * DAY - 60, 3.0 * DAY + HOLD)[-1][1] == "off"
