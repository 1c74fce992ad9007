"""Points and their catalogue: what a reading does to them, and who is told."""

import pytest
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from twisted_gantry.core.catalogue import Catalogue, PointType
from twisted_gantry.core.points import Batch, Change, Point, Points
from twisted_gantry.wire.reading import Quality, Value

VOLTAGE = PointType("voltage", "V", "Voltage", "电压")
STATE = PointType("state", "", "State", "状态")
GOOD, FAILED = Quality.GOOD, Quality.GET_FAILED
NOT_SUPPORTED, NO_DATA = Quality.NOT_SUPPORTED, Quality.NO_DATA


@pytest.fixture
def clock() -> Clock:
    """Return a clock that shows 1000."""
    clock = Clock()
    clock.advance(1000)
    return clock


@pytest.fixture
def points(clock: Clock) -> Points:
    """Return the points of two devices whose names begin alike."""
    points = Points(Catalogue(), clock.seconds)
    points.declare("ups1", [VOLTAGE, STATE])
    points.declare("ups10", [VOLTAGE])
    return points


# -- the catalogue


def test_the_catalogue_knows_what_a_point_is() -> None:
    """A point is found by its full name, with its unit and labels."""
    catalogue = Catalogue()
    assert catalogue.add("ups1", [VOLTAGE, STATE]) == ["ups1.voltage", "ups1.state"]
    assert catalogue["ups1.voltage"] is VOLTAGE
    assert "ups1.state" in catalogue
    assert "ups2.state" not in catalogue
    with pytest.raises(KeyError):
        catalogue["ups1.current"]


def test_a_name_is_entered_once() -> None:
    """A second point of the same name is an error that tells the name."""
    catalogue = Catalogue()
    catalogue.add("ups1", [VOLTAGE])
    with pytest.raises(ValueError, match=r"ups1\.voltage"):
        catalogue.add("ups1", [STATE, VOLTAGE])


# -- qualities


def test_a_declared_point_has_no_data(points: Points) -> None:
    """Before the first reading a point has no value, no time, and says so."""
    assert points["ups1.voltage"] == Point("ups1.voltage", None, NO_DATA, None)
    assert points["ups1.voltage"].good is None


def test_a_good_reading_brings_value_and_time(points: Points, clock: Clock) -> None:
    """A good reading is the value that holds now, with the time of the reading."""
    points.update("ups1", {"voltage": (220.5, GOOD)})
    assert points["ups1.voltage"] == Point("ups1.voltage", 220.5, GOOD, 1000.0)
    clock.advance(2)
    points.update("ups1", {"voltage": (220.5, GOOD)})
    assert points["ups1.voltage"].at == 1002.0
    assert points["ups1.voltage"].good == 220.5


@pytest.mark.parametrize("value", [0, 0.0, False, ""])
def test_a_good_value_may_be_nothing_much(points: Points, value: Value) -> None:
    """Zero, false and an empty text are values like any other."""
    points.update("ups1", {"voltage": (value, GOOD)})
    assert points["ups1.voltage"].good is value


def test_a_failed_reading_keeps_value_and_time(points: Points, clock: Clock) -> None:
    """After a failed reading the last good value and its time stay, but no value holds now."""
    points.update("ups1", {"voltage": (220.5, GOOD)})
    clock.advance(60)
    points.update("ups1", {"voltage": (None, FAILED)})
    assert points["ups1.voltage"] == Point("ups1.voltage", 220.5, FAILED, 1000.0)
    assert points["ups1.voltage"].good is None


def test_a_first_reading_that_fails_has_no_value(points: Points) -> None:
    """A point whose first reading failed is not without data: its reading failed."""
    points.update("ups1", {"voltage": (None, FAILED)})
    assert points["ups1.voltage"] == Point("ups1.voltage", None, FAILED, None)


def test_what_the_hardware_has_not_has_no_value(points: Points) -> None:
    """A value that the hardware does not have is gone, with its time."""
    points.update("ups1", {"voltage": (220.5, GOOD)})
    points.update("ups1", {"voltage": (None, NOT_SUPPORTED)})
    assert points["ups1.voltage"] == Point("ups1.voltage", None, NOT_SUPPORTED, None)


def test_a_failed_device_fails_in_each_of_its_points(points: Points) -> None:
    """Without names all points of that device fail, and of no other."""
    for device in ("ups1", "ups10"):
        points.update(device, {"voltage": (220.5, GOOD)})
    points.fail("ups1")
    assert points["ups1.voltage"].quality is FAILED
    assert points["ups1.state"].quality is FAILED
    assert points["ups10.voltage"].quality is GOOD


def test_named_points_fail_alone(points: Points) -> None:
    """With names only those points fail."""
    points.update("ups1", {"voltage": (220.5, GOOD), "state": ("line", GOOD)})
    points.fail("ups1", ["state"])
    assert points["ups1.voltage"].quality is GOOD
    assert points["ups1.state"] == Point("ups1.state", "line", FAILED, 1000.0)


# -- finding them


def test_points_are_found_by_name_and_by_prefix(points: Points) -> None:
    """A prefix finds points in the order in which they were declared; none finds all."""
    assert [point.name for point in points.under("ups1.")] == ["ups1.voltage", "ups1.state"]
    assert len(points.under()) == 3
    assert points.under("nothing") == []
    assert points.get("nothing") is None
    assert points.get("ups1.state") == points["ups1.state"]
    with pytest.raises(KeyError):
        points["nothing"]


# -- telling


def test_a_reading_is_told_once_as_a_batch(points: Points) -> None:
    """A subscriber gets the whole reading at once, each point as it was and as it is."""
    told: list[tuple[str, Batch]] = []
    points.subscribe(lambda device, batch: told.append((device, batch)))
    points.update("ups1", {"voltage": (220.5, GOOD), "state": ("line", GOOD)})
    points.fail("ups1", ["state"])
    line = Point("ups1.state", "line", GOOD, 1000.0)
    assert told == [
        (
            "ups1",
            [
                Change(Point("ups1.voltage"), Point("ups1.voltage", 220.5, GOOD, 1000.0)),
                Change(Point("ups1.state"), line),
            ],
        ),
        ("ups1", [Change(line, Point("ups1.state", "line", FAILED, 1000.0))]),
    ]


def test_the_points_are_new_when_they_are_told(points: Points) -> None:
    """A subscriber that looks at any point of the batch sees the new reading."""
    seen: list[Value] = []
    points.subscribe(lambda *_: seen.append(points["ups1.state"].good))
    points.update("ups1", {"voltage": (1.0, GOOD), "state": ("line", GOOD)})
    assert seen == ["line"]


def test_a_failing_subscriber_harms_no_other(
    points: Points, logged_failures: list[Failure]
) -> None:
    """What one subscriber raises is logged; the next is told, and the reading is kept."""
    told: list[str] = []

    def fail(device: str, batch: Batch) -> None:
        raise ZeroDivisionError

    points.subscribe(fail)
    points.subscribe(lambda device, batch: told.append(device))
    points.update("ups1", {"voltage": (220.5, GOOD)})
    assert told == ["ups1"]
    assert points["ups1.voltage"].good == 220.5
    assert [failure.type for failure in logged_failures] == [ZeroDivisionError]
    logged_failures.clear()


def test_a_subscription_ends(points: Points) -> None:
    """After its end a subscriber hears nothing, also when it ends within a call."""
    told: list[str] = []
    ends = [points.subscribe(lambda *_: told.append("ended")) for _ in range(2)]

    def end_all(device: str, batch: Batch) -> None:
        told.append("ending")
        while ends:
            ends.pop()()

    points.subscribe(end_all)
    points.update("ups1", {})
    points.update("ups1", {})
    assert told == ["ended", "ended", "ending", "ending"]
