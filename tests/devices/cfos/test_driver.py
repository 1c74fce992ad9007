"""The driver of a cFos manager: its polls, its points, its state."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from zope.interface.verify import verifyObject

from tests.devices.cfos.rig import PASSWORD, Manager, Rig, evse, meter
from tests.support import Bench, fired
from twisted_gantry.core.catalogue import Catalogue
from twisted_gantry.core.interfaces import DeviceContext, IDevice, IDeviceKind, WrongSetting
from twisted_gantry.core.points import Points
from twisted_gantry.core.site import Cabinet
from twisted_gantry.devices.cfos.driver import CfosSettings, kind
from twisted_gantry.devices.cfos.points import MANAGER_POINTS, part_points
from twisted_gantry.uplinks.etc.rows import cabinet
from twisted_gantry.wire.reading import Quality
from twisted_gantry.wire.secret import Secret

UNITS = {"", "V", "A", "Hz", "W", "VA", "Wh", "Ah", "%", "°C", "s", "KiB"}


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    made.start()
    yield made
    made.stop()


def test_provides_its_interfaces(rig: Rig) -> None:
    """The driver is an IDevice, its kind an IDeviceKind."""
    assert verifyObject(IDevice, rig.device)
    assert verifyObject(IDeviceKind, kind)


def test_every_point_has_a_unit_and_two_labels() -> None:
    """Every point is labelled in both languages and has a unit of the catalogue."""
    for each in (*MANAGER_POINTS, *part_points("E1"), *part_points("M1")):
        assert each.unit in UNITS
        assert each.en
        assert any(ord(character) > 255 for character in each.zh)


def test_a_poll_brings_the_points(rig: Rig) -> None:
    """The first poll makes the points of every part, in A, V, W and Wh."""
    assert rig.state == "online"
    assert rig.good("E1.state") == "charging"
    assert (rig.good("E1.power"), rig.good("E1.import_energy")) == (6900.0, 7120572.0)
    assert (rig.good("E1.enabled"), rig.good("E1.paused")) == (True, False)
    assert (rig.good("M1.power"), rig.good("M1.import_energy")) == (690.0, 15000.0)
    assert (rig.good("M1.current_l1"), rig.good("M1.voltage_l3")) == (1.0, 230.0)
    assert rig.good("M1.mains_abnormal") is False
    assert rig.good("E1.current_l1") == "not-supported"
    assert rig.bench.points.catalogue["cfos.M1.voltage_l1"].unit == "V"
    assert rig.bench.raised() == set()


def test_polls_come_at_their_period(rig: Rig) -> None:
    """A poll every 5 s, with user and password in the header."""
    rig.polls(3)
    polls = rig.manager.calls("get_dev_info")
    assert [round(each.at) for each in polls] == [0, 5, 10, 15]
    assert {(each.user, each.password) for each in polls} == {("admin", PASSWORD)}


def test_without_a_password_none_is_sent() -> None:
    """A manager is polled without credentials if none are configured."""
    rig = Rig(password=None)
    rig.start()
    assert rig.state == "online"
    assert rig.manager.asked[0].user == ""
    rig.stop()


def test_three_misses_make_it_offline(rig: Rig) -> None:
    """One or two misses fail the points, three in a row make it offline; one answer ends it."""
    rig.manager.answers["get_dev_info"] = None
    rig.clock.run(8.0)
    assert rig.state == "online"
    assert rig.good("E1.power") == "get-failed"
    assert rig.good("cycle_time") == "get-failed"
    assert rig.device.status.last_error == "no answer within 3 s"
    rig.clock.run(10.5)
    assert rig.state == "offline"
    del rig.manager.answers["get_dev_info"]
    rig.clock.run(6.0)
    assert rig.state == "online"
    assert rig.good("E1.power") == 6900.0


def test_the_pauses_while_it_is_offline(rig: Rig) -> None:
    """Offline, the pauses double from 1 s to 60 s with a jitter, until an answer comes."""
    rig.manager.answers["get_dev_info"] = 502
    rig.clock.run(500, 0.5)
    times = [each.at for each in rig.manager.calls("get_dev_info")]
    pauses = [later - sooner for sooner, later in pairwise(times)][3:]
    for pause, most in zip(pauses, [1, 2, 4, 8, 16, 32, 60, 60], strict=False):
        assert most / 2 - 0.6 <= pause <= most + 0.6
    assert len(pauses) > 8
    assert rig.device.status.last_error == "the manager answers HTTP 502"
    rig.manager.answers.clear()
    rig.clock.run(61)
    start = len(rig.manager.asked)
    rig.polls(2)
    assert len(rig.manager.asked) - start == 2


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (401, "refuses user or password"),
        (302, "HTTP 302"),
        (b"<html>", "not JSON"),
        (b'{"params":{},"devices" [{"dev_id":"E1"', "not JSON"),
        ("unknown command", "unknown command"),
        ({"devices": [{"dev_id": "E1"}] * 1000}, "1000 devices"),
        (b"x" * 300_000, "an answer of over"),
        (b"[" * 10_000, "nested"),
    ],
)
def test_what_is_no_poll_is_a_reason(answer: Any, says: str) -> None:
    """Every way to answer wrongly is a miss, with a reason, and not a fault of the driver."""
    rig = Rig()
    rig.manager.answers["get_dev_info"] = answer
    rig.start(16)
    assert rig.state == "offline"
    assert says in (rig.device.status.last_error or "")
    assert PASSWORD not in rig.shown()
    rig.stop()


def test_a_refused_connection() -> None:
    """A manager that is not there is offline, and the log tells it once."""
    rig = Rig()
    rig.wire.reachable = False
    rig.start(60)
    assert rig.state == "offline"
    assert rig.bench.raised() == {"cfos.offline"}
    assert rig.log.getvalue().count("\n") == 2  # it is offline, and the alarm
    rig.clock.run(60)
    assert rig.log.getvalue().count("\n") == 2
    rig.stop()


def test_parts_come_and_go(rig: Rig) -> None:
    """A new part has points with the next poll; one that is missing for three loses them."""
    rig.manager.devices.append(evse("E2", state=1))
    rig.polls(1)
    assert rig.good("E2.state") == "waiting"
    rig.manager.devices.pop()
    rig.polls(1)
    assert rig.good("E2.state") == "get-failed"
    rig.polls(2)
    assert not any(name.startswith("E2.") for name in rig.names())
    assert "cfos.E2.state" not in rig.bench.points.catalogue
    rig.manager.devices.append(evse("E2", state=2))
    rig.polls(1)
    assert rig.good("E2.state") == "vehicle-present"


def test_a_list_cut_short_once_loses_no_points(rig: Rig) -> None:
    """A part that one poll lacks keeps its points."""
    kept = rig.manager.devices
    rig.manager.devices = []
    rig.polls(2)
    rig.manager.devices = kept
    rig.polls(1)
    assert rig.good("E1.state") == "charging"
    rig.manager.devices = []
    rig.polls(2)
    assert rig.good("E1.state") == "get-failed"


def test_a_text_for_a_number_costs_that_value(rig: Rig) -> None:
    """A wrong value fails its own point, keeps the last good one, and leaves the rest."""
    rig.manager.devices = [meter(power_w="69O", import_="x"), {"dev_id": "?"}]
    rig.polls(1)
    assert rig.good("M1.power") == "get-failed"
    assert rig.bench.points["cfos.M1.power"].value == 690.0
    assert rig.good("M1.import_energy") == 15000.0
    assert rig.state == "online"
    assert rig.device.counts["bad-device"] == 1
    assert rig.device.status.last_error == "M1: power_w is '69O', and 1 more"


def test_an_error_of_any_evse_is_an_alarm(rig: Rig) -> None:
    """One EVSE in the state `error` raises the alarm, the last that leaves it clears it."""
    rig.manager.devices = [evse("E1", state=5), evse("E2", state=5)]
    rig.polls(1)
    assert rig.bench.raised() == {"cfos.error"}
    rig.manager.devices[0]["state"] = 3
    rig.polls(1)
    assert rig.bench.raised() == {"cfos.error"}
    rig.manager.devices[1]["state"] = "gone mad"
    rig.polls(1)
    assert rig.bench.raised() == {"cfos.error"}  # not known whether it is over
    rig.manager.devices[1]["state"] = 2
    rig.polls(1)
    assert rig.bench.raised() == set()


def test_a_part_that_is_not_reached(rig: Rig) -> None:
    """What the manager does not reach is old: measured values fail, and an alarm is raised."""
    rig.manager.devices = [evse(state=6), meter(com_err=True, last_error="timeout")]
    rig.polls(1)
    assert rig.good("E1.state") == "offline"
    assert rig.good("E1.power") == "get-failed"
    assert (rig.good("M1.last_error"), rig.good("M1.voltage_l1")) == ("timeout", "get-failed")
    assert rig.good("M1.mains_abnormal") == "get-failed"
    assert rig.bench.raised() == set()
    rig.polls(7)
    assert rig.bench.raised() == {"cfos.part-offline"}
    rig.manager.devices = [evse(device_enabled=0, state=6), meter(device_enabled=False)]
    rig.polls(1)
    assert rig.bench.raised() == set()  # switched off on purpose


def test_no_current_limit_is_an_alarm() -> None:
    """A manager that lets disabled EVSEs charge without a limit is warned of."""
    rig = Rig(Manager(params={"disable_policy": -1}))
    rig.start()
    assert rig.bench.raised() == {"cfos.no-current-limit"}
    rig.stop()


def test_a_lost_phase_at_a_meter(rig: Rig) -> None:
    """A lost phase is read again soon, told as on a UPS card, and over when it is back."""
    rig.manager.devices = [meter(voltage_l2=3), meter("M2", voltage_l1=0)]
    rig.clock.run(5.1)
    # A meter that is new, and lacks a voltage, is read again before it is judged.
    failed = Quality.GET_FAILED
    assert (rig.good("M1.mains_abnormal"), rig.good("mains_abnormal")) == (False, failed)
    rig.clock.run(1.0)
    assert (rig.good("M1.mains_abnormal"), rig.good("mains_abnormal")) == (True, True)
    rig.clock.run(1.0)
    assert rig.raised() == {"mains-abnormal", "M1.phase-l2-lost", "M2.phase-l1-lost"}
    rig.manager.devices = [meter(), meter("M2")]
    rig.clock.run(6.5)
    assert rig.bench.raised() == set()


def test_a_counter_that_jumps(rig: Rig) -> None:
    """A total that no connection can reach is no value, and one below zero never becomes one."""
    good = []
    for total in (15005, 15010, 4294967295, 15020, 1500000, 15030, *([-872424875] * 12), 15040):
        rig.manager.devices = [meter() | {"import": total}]
        rig.polls(1)
        good.append(rig.good("M1.import_energy"))
    failed = "get-failed"
    assert good == [15005, 15010, failed, 15020, failed, 15030, *([failed] * 12), 15040]
    assert "M1.import_energy" in rig.device.status.last_error


def test_a_first_total_that_cannot_be() -> None:
    """4294967295 is no first reading, either; the next one is."""
    rig = Rig(Manager([meter() | {"import": 4294967295}]))
    rig.start()
    rig.polls(5)
    assert rig.good("M1.import_energy") == "get-failed"
    rig.manager.devices = [meter()]
    rig.polls(1)
    assert rig.good("M1.import_energy") == 15000.0
    rig.stop()


@pytest.mark.parametrize(
    ("volts", "status", "text", "raised"),
    [
        ((230, 230, 230), "1", "", set()),
        ((255, 230, 230), "1", "输入过压", {"M1.input-over-voltage"}),
        ((300, 300, 300), "1", "输入过压", {"M1.input-over-voltage"}),
        ((180, 230, 230), "1", "输入欠压", {"M1.input-under-voltage"}),
        ((0, 230, 230), "0", "市电异常,交流L1相缺相", {"mains-abnormal", "M1.phase-l1-lost"}),
        ((230, 0, 230), "0", "市电异常,交流L2相缺相", {"mains-abnormal", "M1.phase-l2-lost"}),
        ((0, 0, 0), "0", "市电异常", {"mains-abnormal"}),
        ((655.3, 230, 230), "GetFailed", "GetFailed", set()),
    ],
)
def test_a_meter_tells_as_a_ups_card_does(
    rig: Rig, volts: tuple[float, ...], status: str, text: str, raised: set[str]
) -> None:
    """A meter that is a source of the mains has the texts and the status of a UPS card."""
    given: dict[str, Any] = {f"voltage_l{n}": each for n, each in enumerate(volts, 1)}
    rig.manager.devices = [meter(**given), meter("M2")]
    rig.polls(4)
    assert rig.raised() == raised
    which = Cabinet("1", {"elec": ("cfos.M1", "cfos.M2")})
    report, _, _ = cabinet(rig.bench.site, which, [])
    assert [(row.status, row.warning_msg) for row in report.elec] == [(status, text), ("1", "")]


def test_a_meter_that_goes_takes_its_alarms_along(rig: Rig) -> None:
    """The alarms of a meter are over when the manager does not list the meter any more."""
    rig.manager.devices = [meter(), meter("M2", voltage_l1=300)]
    rig.polls(3)
    assert rig.bench.raised() == {"cfos.M2.input-over-voltage"}
    rig.manager.devices = [meter()]
    rig.polls(4)
    assert rig.bench.raised() == set()


def test_a_silent_meter_hides_no_mains_failure(rig: Rig) -> None:
    """A meter that never told holds nothing up; one that told of a failure and went silent does."""
    bad, normal, silent = meter(voltage_l1=0), meter("M2"), meter("M3", com_err=True)
    rig.manager.devices = [meter(), normal, silent]
    rig.polls(1)
    assert rig.good("mains_abnormal") is False
    rig.manager.devices = [bad, normal, silent]
    rig.polls(2)
    assert rig.good("mains_abnormal") is True
    rig.manager.devices = [meter(com_err=True), normal, silent]
    rig.polls(1)
    assert rig.good("mains_abnormal") == "get-failed"
    assert "cfos.mains-abnormal" in rig.bench.raised()
    rig.manager.devices = [meter(), normal, silent]
    rig.polls(2)
    assert rig.good("mains_abnormal") is False
    assert "cfos.mains-abnormal" not in rig.bench.raised()


def test_a_mains_failure_goes_on_over_a_restart(rig: Rig) -> None:
    """Which phases had a voltage is kept: a meter without one after a restart lost its mains."""
    rig.manager.devices = [meter(), meter("M2", voltage_l2=0, voltage_l3=0)]
    rig.polls(2)
    [kept] = fired(rig.bench.store.settings())
    assert kept["cfos.live-phases"] == {"M1": [0, 1, 2], "M2": [0]}
    again = Rig(Manager([meter(voltage_l1=0, voltage_l2=0, voltage_l3=0), meter("M2")]))
    again.bench.store.put_setting("cfos.live-phases", kept["cfos.live-phases"])
    again.start()
    again.polls(2)
    assert again.raised() == {"mains-abnormal"}
    assert again.good("M1.mains_abnormal") is True
    again.stop()


@pytest.mark.parametrize("kept", ["yes", {"M1": "all"}, {"M1": 3}])
def test_what_was_kept_may_be_nonsense(kept: Any) -> None:
    """It counts for nothing, and the manager is polled all the same."""
    rig = Rig()
    rig.bench.store.put_setting("cfos.live-phases", kept)
    rig.start()
    assert rig.state == "online"
    rig.stop()


def test_stopping_gives_up_what_is_under_way() -> None:
    """A poll without an answer does not outlive the service, whose connections are let go."""
    rig = Rig()
    rig.manager.answers["get_dev_info"] = None
    rig.start()
    rig.device.stopService()
    assert rig.closed == 1
    rig.stop()
    assert rig.state == "connecting"


def test_a_stopped_driver_can_be_started_again(rig: Rig) -> None:
    """After a stop, a start polls again."""
    rig.device.stopService()
    rig.manager.devices[0]["state"] = 1
    rig.start()
    assert rig.good("E1.state") == "waiting"


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"url": "192.168.1.30"}, "url"),
        ({"url": "ftp://192.168.1.30/"}, "url"),
        ({"url": "http://admin:hunter2@192.168.1.30/"}, "url"),
        ({"url": "http://192.168.1.30/?password=hunter2"}, "url"),
        ({"url": "http://[::1/"}, "url"),
        ({"url": "http://host:0/"}, "url"),
        ({"user": "ad:min"}, "user"),
        ({"user": "ad\nmin"}, "user"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], key: str) -> None:
    """What cannot be used is said with its key, without a secret."""
    given = CfosSettings(**{"url": "http://192.168.1.30", **settings})
    with pytest.raises(WrongSetting) as caught:
        kind.build("cfos", given, Bench().context)
    assert caught.value.key == key
    assert "hunter2" not in str(caught.value)


def test_it_can_be_built_to_be_thrown_away() -> None:
    """`--check` builds without a reactor: nothing is started, and the points are there."""
    points = Points(Catalogue(), lambda: 0.0)
    nothing: Any = None
    bench = Bench()
    context = DeviceContext(
        nothing, points, lambda: 0.0, bench.random, nothing, nothing, bench.callbacks, ""
    )
    settings = CfosSettings(url="https://192.168.1.30/x", password=Secret("x"))
    kind.build("cfos", settings, context)
    assert points.get("cfos.cycle_time") is not None


def test_a_damaged_list_ends_no_alarm() -> None:
    """While the list of devices is cut off, or an id cannot be read, the part that is missing has
    its error all the same, and keeps its points.
    """
    rig = Rig()
    rig.manager.devices = [meter(), evse(state=5)]
    rig.start(6)
    assert rig.raised() >= {"error"}
    whole = json.dumps({"params": {}, "devices": [meter(), evse(state=5)]}).encode()
    for damaged in (whole[: whole.index(b'"E1"')], whole.replace(b'"E1"', b"nan")):
        rig.manager.answers["get_dev_info"] = damaged
        rig.clock.run(60)
        assert rig.raised() >= {"error"}
        assert rig.good("E1.state") == "get-failed"
        assert rig.good("M1.power") == 690.0
    rig.manager.answers.clear()
    rig.manager.devices = [meter()]
    rig.clock.run(60)
    assert "error" not in rig.raised()
    assert rig.bench.points.get("cfos.E1.state") is None
    rig.stop()


@pytest.mark.parametrize("com_err", [1, 2, "timeout", "true", -1])
def test_a_part_with_a_communication_error_is_not_reached(com_err: Any) -> None:
    """Whatever the manager calls it, but 0 and false: the values are old."""
    rig = Rig()
    rig.manager.devices = [meter(com_err=com_err)]
    rig.start(40)
    assert rig.good("M1.power") == "get-failed"
    assert "part-offline" in rig.raised()
    rig.stop()


def test_patience_is_the_time_for_an_answer() -> None:
    """The setting is the deadline of each call."""
    assert CfosSettings(url="http://x/").patience == 3.0
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"url": "http://x/", "patience": 0}, CfosSettings)
