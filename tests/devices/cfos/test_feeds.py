"""Feeds: the site's own measurements, pushed into a manager."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from tests.devices.cfos.rig import Rig
from tests.support import Bench
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.interfaces import WrongSetting
from twisted_gantry.core.points import Points
from twisted_gantry.devices.cfos.driver import CfosSettings, kind
from twisted_gantry.devices.cfos.feeds import FeedSettings
from twisted_gantry.devices.upscard import points as upscard_points
from twisted_gantry.wire.reading import Quality, Value

GOOD = Quality.GOOD
CONTROL = {
    "device_enabled": True,
    "charging_enabled": True,
    "paused": False,
    "charging_current": 16000,
}


def feed(**keys: Any) -> FeedSettings:
    return msgspec.convert(keys, FeedSettings)


class Fed(Rig):
    """A driver with feeds, beside a UPS."""

    def __init__(self, *feeds: FeedSettings) -> None:
        super().__init__(feeds=list(feeds))
        self.points: Points = self.bench.points
        self.points.declare("ups1", upscard_points.POINTS)
        self.manager.answers["set_ajax_evse"] = CONTROL
        self.mains()

    def mains(self, **more: tuple[Value, Quality]) -> None:
        """Let the UPS read its mains."""
        volts: Mapping[str, tuple[Value, Quality]] = {
            f"input_voltage_{phase}": (231.0 + n, GOOD) for n, phase in enumerate("rst")
        }
        amps = {f"input_current_{phase}": (1.5, GOOD) for phase in "rst"}
        self.points.update("ups1", {**volts, **amps, **more})


@pytest.fixture
def rig() -> Iterator[Fed]:
    """A meter fed from a UPS every 5 s, polled once."""
    made = Fed(feed(to="M2", **{"from": "ups1"}))
    made.start()
    yield made
    made.stop()


def test_a_meter_is_fed(rig: Fed) -> None:
    """The mains of a UPS go to the meter every 5 s, in V and mA, with the admin's password."""
    rig.polls(3)
    fed = rig.manager.calls("set_ajax_meter")
    assert [round(each.at) for each in fed] == [5, 10, 15]
    assert fed[0].args == {"dev_id": "M2"}
    assert fed[0].body == {
        "model": "twisted_gantry",
        "voltage": [231.0, 232.0, 233.0],
        "current": [1500.0, 1500.0, 1500.0],
    }
    assert fed[0].user == "admin"
    assert rig.good("M2.feed_working") is True


def test_what_is_not_known_is_not_fed(rig: Fed) -> None:
    """While a reading is missing nothing is pushed: an old value is no value. It is said once."""
    rig.points.fail("ups1")
    rig.polls(3)
    assert rig.manager.calls("set_ajax_meter") == []
    assert rig.good("M2.feed_working") is False
    assert rig.log.getvalue().count("is not fed") == 1
    rig.mains()
    rig.polls(1)
    assert rig.good("M2.feed_working") is True
    assert rig.log.getvalue().count("is fed again") == 1
    assert rig.device.counts["feed-failed"] == 3


def test_a_phase_that_there_is_not(rig: Fed) -> None:
    """A single-phase UPS is fed with 0 for the phases it has not."""
    none: tuple[Value, Quality] = (None, Quality.NOT_SUPPORTED)
    rig.mains(**{f"input_{what}_{p}": none for what in ("voltage", "current") for p in "st"})
    rig.polls(1)
    [fed] = rig.manager.calls("set_ajax_meter")
    assert (fed.body["voltage"], fed.body["current"]) == ([231.0, 0.0, 0.0], [1500.0, 0.0, 0.0])


@pytest.mark.parametrize("answer", ["unknown device M2", 401, 502, b"\xff", {}])
def test_a_feed_that_is_not_taken(rig: Fed, answer: Any) -> None:
    """Any answer but "ok" is a feed that does not work; the next is tried all the same."""
    rig.manager.answers["set_ajax_meter"] = answer
    rig.polls(3)
    assert rig.good("M2.feed_working") is False
    assert len(rig.manager.calls("set_ajax_meter")) == 3
    assert rig.state == "online"
    assert rig.log.getvalue().count("is not fed") == 1


def test_feeds_do_not_pile_up(rig: Fed) -> None:
    """A feed without an answer is given up before the next."""
    rig.manager.answers["set_ajax_meter"] = None
    rig.clock.run(9)
    assert rig.good("M2.feed_working") is False
    rig.clock.run(12)
    assert len(rig.manager.calls("set_ajax_meter")) == 4


def test_nothing_is_fed_to_a_manager_that_is_offline(rig: Fed) -> None:
    """Offline, a manager is left alone but for its polls."""
    rig.polls(1)
    rig.manager.answers["get_dev_info"] = 503
    rig.polls(3)
    assert rig.state == "offline"
    fed = len(rig.manager.calls("set_ajax_meter"))
    rig.polls(3)
    assert len(rig.manager.calls("set_ajax_meter")) == fed
    assert rig.good("M2.feed_working") is False


def test_an_evse_is_fed_and_its_control_shown() -> None:
    """What the manager asks of an EVSE that is fed are points; nothing is switched."""
    named = {"current": ["ups1.input_current_r"], "state": "pc1.car", "import_energy": "pc1.wh"}
    rig = Fed(feed(to="E2", period=2.0, max_current=16, **named))
    rig.points.declare(
        "pc1", [PointType("car", "", "car", "车"), PointType("wh", "Wh", "Wh", "电量")]
    )
    rig.points.update("pc1", {"car": ("charging", GOOD), "wh": (5000, GOOD)})
    rig.start(2.5)
    [fed] = rig.manager.calls("set_ajax_evse")
    assert fed.args == {"dev_id": "E2"}
    assert fed.body == {
        "model": "twisted_gantry",
        "state": 3,
        "max_charging_current": 16000.0,
        "current": [1500.0, 0.0, 0.0],
        "total_energy": 5000.0,
    }
    names = ("device_enabled", "charging_enabled", "paused", "current", "working")
    assert [rig.good(f"E2.feed_{name}") for name in names] == [True, True, False, 16.0, True]
    rig.manager.answers["set_ajax_evse"] = {"charging_enabled": True}
    rig.points.update("pc1", {"car": (4, GOOD)})
    rig.clock.run(2)
    assert rig.manager.calls("set_ajax_evse")[-1].body["state"] == 4
    assert [rig.good(f"E2.feed_{name}") for name in names] == [
        *("get-failed", True, "get-failed", "get-failed", True)
    ]
    rig.manager.answers["set_ajax_evse"] = {"error": "none"}
    rig.clock.run(6)
    assert rig.good("E2.feed_charging_enabled") == "get-failed"
    assert rig.good("E2.feed_working") is False
    rig.stop()


def test_the_points_of_a_feed_outlive_its_part() -> None:
    """A fed part that the manager loses keeps the points that tell of its feed."""
    rig = Fed(feed(to="M1", **{"from": "ups1"}))
    rig.start()
    rig.manager.devices = []
    rig.polls(4)
    assert {name for name in rig.names() if name.startswith("M1.")} == {"M1.feed_working"}
    rig.stop()


def test_a_meter_is_fed_from_another_meter() -> None:
    """A part of a device can be the source, its own power and energy included."""
    rig = Fed(feed(to="M2", period=2.0, **{"from": "cfos.M1"}))
    rig.start(2.5)
    [fed] = rig.manager.calls("set_ajax_meter")
    assert fed.body == {
        "model": "twisted_gantry",
        "voltage": [230.0] * 3,
        "current": [1000.0] * 3,
        "power_w": 690.0,
        "import_wh": 15000.0,
    }
    rig.stop()


def test_a_source_that_there_is_not() -> None:
    """A source without points, or a point that is not there, is said, and harms nothing."""
    rig = Fed(feed(to="M2", **{"from": "nobody"}), feed(to="M3", power="nobody.power"))
    rig.start(5.5)
    log = rig.log.getvalue()
    assert "M2 is not fed: nobody has no points to feed" in log
    assert "M3 is not fed: there is no point nobody.power" in log
    assert rig.state == "online"
    rig.stop()


@pytest.mark.parametrize(
    ("feeds", "says"),
    [
        ([{"to": "X1", "from": "ups1"}], "like M2 or E2"),
        ([{"to": "M2"}], "neither from nor points"),
        ([{"to": "M2", "from": "ups1.input_voltage_r"}], "a device or a part"),
        ([{"to": "M2", "power": "ups1"}], "name points like"),
        ([{"to": "M2", "voltage": ["ups1.a", "x"]}], "name points like"),
        ([{"to": "M2", "from": "ups1"}, {"to": "M2", "from": "ups2"}], "fed twice"),
        ([{"to": "M2", "from": "ups1", "max_current": 16}], "takes no state"),
        ([{"to": "E2", "power": "ups1.power"}], "takes no voltage"),
        ([{"to": f"M{n}", "from": "ups1"} for n in range(17)], "more than 16"),
    ],
)
def test_wrong_feeds(feeds: list[dict[str, Any]], says: str) -> None:
    """What cannot be fed is said when the configuration is checked."""
    settings = CfosSettings(url="http://cfos.test", feeds=[feed(**each) for each in feeds])
    with pytest.raises(WrongSetting, match=says) as caught:
        kind.build("cfos", settings, Bench().context)
    assert caught.value.key == "feeds"


@pytest.mark.parametrize(
    "keys",
    [
        {"to": "M2", "form": "ups1"},
        {"to": "M2", "from": "ups1", "period": 0.1},
        {"to": "M2", "voltage": []},
        {"to": "M2", "voltage": ["a.b"] * 4},
        {"to": "E2", "from": "ups1", "max_current": 100},
    ],
)
def test_feeds_of_a_wrong_shape(keys: dict[str, Any]) -> None:
    """Unknown keys and values out of bounds are refused by their type."""
    with pytest.raises(msgspec.ValidationError):
        feed(**keys)
