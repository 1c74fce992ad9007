"""The driver of a smart cabinet: its uploads, its points and alarms, its state."""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from twisted.internet.defer import CancelledError
from zope.interface.verify import verifyObject

from tests.devices.cabinet.rig import AUTH, SAMPLE, Rig, report
from tests.support import Bench, fired
from tests.wire.material import checked, json_with, outcome
from twisted_gantry.core.alarms import Alarm
from twisted_gantry.core.interfaces import IDeviceKind, IRefreshable, IUploader, WrongSetting
from twisted_gantry.devices.cabinet.driver import CabinetSettings, kind
from twisted_gantry.devices.cabinet.points import POINTS, group_points
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.envelope import EtcCode
from twisted_gantry.wire.etc.reports import Cabinet
from twisted_gantry.wire.etc.uploads import GROUPS
from twisted_gantry.wire.secret import Secret

COOLERS: list[Any] = SAMPLE["airConditioners"]


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A driver whose cabinet has reported once."""
    made = Rig()
    made.start()
    yield made
    made.stop()


def test_it_provides_what_it_promises(rig: Rig) -> None:
    """The driver is an IUploader under its gantry and cabinet, its kind an IDeviceKind."""
    assert verifyObject(IUploader, rig.device)
    assert rig.device.uploads_as == ("G000211001002110010", "1")
    assert verifyObject(IDeviceKind, kind)
    assert (kind.kind, kind.parts) == ("cabinet", "")
    assert kind.groups == set(Cabinet.__struct_fields__) - {"id"}


def test_a_refresh_asks_and_ends_with_the_upload(rig: Rig) -> None:
    """Who asks for a reading is told once the upload is there, with its points."""
    assert verifyObject(IRefreshable, rig.device)
    asked = len(rig.cabinet.asked())
    rig.report = report(thermohygrometer={"temperature": "33"})
    told = fired(rig.device.refresh())
    rig.clock.run(0.1)
    assert (len(rig.cabinet.asked()), told) == (asked + 1, [])
    rig.clock.run(0.3)
    assert told == [None]
    assert rig.bench.good("cab1.thermohygrometer.temperature") == 33.0


@pytest.mark.parametrize("how", [EtcCode.CONTROL_FAILED, (500, b""), (404, b"")])
def test_a_refresh_ends_when_the_cabinet_does_not_help(rig: Rig, how: Any) -> None:
    """A cabinet that refuses ends the wait; no upload comes for it."""
    rig.cabinet.updated = how
    told = fired(rig.device.refresh())
    rig.clock.run(1.0)
    assert told == [None]


def test_a_refresh_that_is_given_up_is_forgotten(rig: Rig) -> None:
    """A caller that waits no longer is not told."""
    waiting = rig.device.refresh()
    told = fired(waiting)
    waiting.cancel()
    rig.clock.run(1.0)
    [failure] = told
    assert failure.check(CancelledError)


def test_every_point_and_alarm_has_both_languages(rig: Rig) -> None:
    """Every point and every alarm is labelled in English and Chinese, each once."""
    rows = [point for name in GROUPS for point in group_points(name, "1")]
    labels = {(each.en, each.zh) for each in (*POINTS, *rows)}
    assert len(labels) == len(POINTS) + len(rows)
    for rule in rig.device.rules:
        assert rule.en
        assert rule.group in {"", *GROUPS}
        assert rule.name.replace("-", "").isalpha()
    for text in [zh for _, zh in labels] + [rule.zh for rule in rig.device.rules]:
        assert any(ord(character) > 255 for character in text)
    names = [rule.name for rule in rig.device.rules]
    assert len(set(names)) == len(names)


def test_it_is_online_within_a_second() -> None:
    """At the start it is asked to report, and its report makes it online, with every point."""
    rig = Rig()
    assert rig.state == "connecting"
    rig.start(0.5)
    assert rig.state == "online"
    assert len(rig.cabinet.asked()) == 1
    assert rig.good("doors.front_door_closed") is True
    assert rig.good("air_conditioners.2.is_working") is True
    assert rig.good("thunder_spd.1.lightning_count") == 1
    assert rig.good("elec.1.power") == 10_000.0
    assert rig.good("smoke_sensor.is_warning") is False
    assert rig.bench.points.catalogue["cab1.elec.1.voltage"].unit == "V"
    assert rig.raised() == set()
    rig.stop()


def test_it_is_asked_at_its_pace(rig: Rig) -> None:
    """It is asked every `poll` seconds, and no two requests are equal."""
    rig.clock.run(185)
    assert len(rig.cabinet.asked()) == 4
    assert all(60 <= later - sooner <= 61 for sooner, later in pairwise(rig.cabinet.asked()))
    assert len(set(rig.cabinet.bodies)) == len(rig.cabinet.bodies)


# -- alarms


@pytest.mark.parametrize(
    ("changes", "raised", "group"),
    [
        ({"smokeSensor": {"isWarning": "1"}}, "smoke", "smoke_sensor"),
        ({"smokeSensor": {"status": "0"}}, "smoke-sensor-fault", "smoke_sensor"),
        ({"waterloggingSensor": {"isWarning": "1"}}, "water", "waterlogging_sensor"),
        ({"waterloggingSensor": {"status": "0"}}, "water-sensor-fault", "waterlogging_sensor"),
        ({"doors": {"frontDoorOpenIllegally": "1"}}, "front-door-illegal", "doors"),
        ({"doors": {"backDoorOpenIllegally": "1"}}, "back-door-illegal", "doors"),
        ({"doors": {"frontDoorClosed": "0"}}, "front-door-open", "doors"),
        ({"doors": {"backDoorClosed": "0"}}, "back-door-open", "doors"),
        ({"doors": {"frontDoorLocked": "0"}}, "front-door-unlocked", "doors"),
        ({"doors": {"backDoorLocked": "0"}}, "back-door-unlocked", "doors"),
        ({"doors": {"status": "0"}}, "door-controller-fault", "doors"),
        ({"elec": {"status": "0"}}, "mains-abnormal", "elec"),
        ({"elec": {"warningMsg": "输入过压"}}, "mains-warning", "elec"),
        ({"rectifier": {"status": "0"}}, "rectifier-fault", "rectifier"),
        ({"rectifier": {"warningMsg": "整流模块保护"}}, "rectifier-warning", "rectifier"),
        ({"ups": {"status": "0"}}, "ups-fault", "ups"),
        ({"ups": {"warningMsg": "电池熔丝断 "}}, "ups-warning", "ups"),
        ({"airConditioners": {"status": "0"}}, "air-conditioner-fault", "air_conditioners"),
        ({"airConditioners": {"systemWarning": "0"}}, "air-conditioner-system", "air_conditioners"),
        (
            {"airConditioners": {"temperatureWarning": "0"}},
            "air-conditioner-temperature",
            "air_conditioners",
        ),
        ({"thermohygrometer": {"status": "0"}}, "thermohygrometer-fault", "thermohygrometer"),
        ({"thunderSpd": {"status": "0"}}, "thunder-spd-fault", "thunder_spd"),
        ({"thunderSpd": {"lightningCount": "2"}}, "lightning", "thunder_spd"),
    ],
)
def test_each_alarm_of_the_document(
    rig: Rig, changes: dict[str, Any], raised: str, group: str
) -> None:
    """Each abnormal value raises its alarm at once, of its group, and its end clears it."""
    rig.upload(**changes)
    assert rig.raised() == {raised}
    [alarm] = rig.bench.alarms.active()
    assert alarm.group == group
    rig.upload(**{name: {} for name in changes})
    rig.upload()
    assert rig.raised() == set()


@pytest.mark.parametrize("odd", ["NoData", "GetFailed", None, "maybe", 7])
def test_a_missing_value_neither_raises_nor_clears(rig: Rig, odd: Any) -> None:
    """While a value is missing or odd, its alarm stays as it is."""
    rig.upload(smokeSensor={"isWarning": odd})
    assert rig.raised() == set()
    rig.upload(smokeSensor={"isWarning": "1"})
    rig.upload(smokeSensor={"isWarning": odd})
    assert rig.raised() == {"smoke"}


def test_an_alarm_is_about_any_row(rig: Rig) -> None:
    """The second air conditioner raises the alarm of the group; a missing one does not hide it."""
    rig.upload(airConditioners=[COOLERS[0], COOLERS[1] | {"systemWarning": "0"}])
    assert rig.raised() == {"air-conditioner-system"}
    rig.upload(airConditioners=[COOLERS[0], COOLERS[1] | {"systemWarning": "NoData"}])
    assert rig.raised() == {"air-conditioner-system"}
    rig.upload(airConditioners=[COOLERS[0], COOLERS[1] | {"systemWarning": "NotSupport"}])
    assert rig.raised() == set()


def test_each_strike_is_an_alarm(rig: Rig) -> None:
    """Every rise of a counter raises the alarm anew; one that falls is a restart."""
    edges: list[Alarm] = []
    rig.bench.alarms.subscribe(edges.append)
    for count in ("2", "3", "3", "0", "NoData", "1"):
        rig.upload(thunderSpd={"lightningCount": count})
    assert [alarm.active for alarm in edges] == [True, False, True, False, True]
    assert rig.raised() == {"lightning"}


def test_a_new_arrester_has_not_been_struck(rig: Rig) -> None:
    """The count that an arrester comes with is where counting begins."""
    row = SAMPLE["thunderSpd"][0]
    rig.upload(thunderSpd=[row, {**row, "id": "2", "lightningCount": "99"}])
    assert rig.raised() == set()
    rig.upload(thunderSpd=[row, {**row, "id": "2", "lightningCount": "100"}])
    assert rig.raised() == {"lightning"}


def test_a_clock_that_is_off_is_an_alarm(rig: Rig) -> None:
    """An upload whose time stamp is off counts all the same, and raises clock-skew."""
    rig.clock_good = False
    rig.upload(smokeSensor={"isWarning": "1"})
    assert rig.raised() == {"smoke", "clock-skew"}
    rig.clock_good = True
    rig.upload(smokeSensor={})
    assert rig.raised() == set()


# -- rows


def test_no_upload_ends_no_alarm() -> None:
    """Before the first upload nothing is known of the rows: an alarm of before is not over."""
    rig = Rig()
    rig.cabinet.uploads = False
    rules = {rule.name: rule for rule in rig.device.rules}
    read = rig.bench.alarms.reader("cab1.")
    assert rules["rectifier-fault"].test(read, True) is None
    rig.cabinet.uploads = True
    rig.start(2.0)
    assert rules["rectifier-fault"].test(read, True) is False
    rig.stop()


def test_rows_come_and_go(rig: Rig) -> None:
    """A new row has points; one that is missing fails, and after three uploads is forgotten."""
    third = COOLERS[0] | {"id": "3", "status": "0"}
    rig.upload(airConditioners=[*COOLERS, third])
    assert rig.good("air_conditioners.3.status") is False
    for _ in range(2):
        rig.upload(airConditioners=COOLERS)
        assert rig.good("air_conditioners.3.status") == "get-failed"
        assert rig.raised() == {"air-conditioner-fault"}
    rig.upload(airConditioners=COOLERS)
    assert rig.bench.points.get("cab1.air_conditioners.3.status") is None
    assert "cab1.air_conditioners.3.status" not in rig.bench.points.catalogue
    assert rig.raised() == set()
    rig.upload(airConditioners=[*COOLERS, third])
    assert rig.good("air_conditioners.3.status") is False


def test_a_group_that_is_not_told_keeps_its_rows(rig: Rig) -> None:
    """A missing array says nothing about its rows: they stay, without data."""
    fields = report()
    del fields["airConditioners"], fields["thunderSpd"]
    for _ in range(5):
        rig.device.uploaded(fields, clock_good=True)
    assert rig.good("air_conditioners.1.status") == "no-data"
    assert rig.good("lightning_struck") == "no-data"
    assert rig.device.counts["missing-group"] == 5
    assert rig.log.getvalue().count("missing-group") == 1


def test_a_group_that_was_never_told_has_a_row_of_nothing() -> None:
    """A missing array is NoData, one that failed GetFailed; the first rows take its place."""
    rig = Rig()
    fields = report(elec="GetFailed", ups="NotSupport", rectifier=[])
    del fields["airConditioners"]
    rig.device.running = True
    rig.device.uploaded(fields, clock_good=True)
    assert rig.good("air_conditioners.1.status") == "no-data"
    assert rig.good("elec.1.voltage") == "get-failed"
    assert not rig.bench.points.under("cab1.ups.")
    assert not rig.bench.points.under("cab1.rectifier.")
    rig.device.uploaded(report(elec=[{"id": "A", "status": "1"}]), clock_good=True)
    assert rig.good("air_conditioners.1.status") is True
    assert rig.good("elec.A.status") is True
    assert not rig.bench.points.under("cab1.elec.1.")
    rig.stop()


# -- what cabinets may send


@pytest.mark.parametrize("fields", [None, [], {}, {"id": "2"}, {"id": ""}])
def test_what_is_no_report_of_it_is_refused(rig: Rig, fields: Any) -> None:
    """A broken envelope and another cabinet's report are refused, and change nothing."""
    before = rig.device.counts["uploads"]
    with pytest.raises(BadMessage):
        rig.device.uploaded(fields, clock_good=True)
    assert rig.device.counts["uploads"] == before


_KEYS = [
    "id",
    *(shape.key for shape in GROUPS.values()),
    *(field.key for shape in GROUPS.values() for field in shape.fields),
]


@given(json_with(*_KEYS), json_with(*_KEYS))
@checked
def test_no_upload_breaks_it(first: Any, second: Any) -> None:
    """Whatever is uploaded, the driver takes or refuses it, and takes a good one after it."""
    rig = Rig()
    rig.start(0.5)
    for fields in (first, second):
        if isinstance(fields, dict):
            fields["id"] = "1"
        outcome(partial(rig.device.uploaded, fields, clock_good=True), BadMessage)
    rig.upload(smokeSensor={"isWarning": "1"})
    assert "smoke" in rig.raised()
    rig.stop()


# -- its state


def test_three_times_in_vain_are_its_loss(rig: Rig) -> None:
    """Where asking helps, three requests in vain make it offline: seconds after the first."""
    rig.wire.unreachable.add("cabinet.test")
    rig.clock.run(66)
    assert rig.state == "offline"
    assert "times in a row" in (rig.device.status.last_error or "")
    assert rig.device.status.since < rig.clock.now() - 1
    assert rig.good("smoke_sensor.is_warning") == "get-failed"
    assert rig.good("air_conditioners.1.status") == "get-failed"
    rig.clock.run(30)
    assert rig.raised() == {"offline"}
    rig.wire.unreachable.clear()
    rig.clock.run(61)
    assert rig.state == "online"
    assert rig.good("smoke_sensor.is_warning") is False
    assert rig.raised() == set()


def test_one_that_was_never_there_is_offline() -> None:
    """Before the first upload, three requests in vain make it offline; the log has it once."""
    rig = Rig()
    rig.wire.unreachable.add("cabinet.test")
    rig.start(300)
    assert rig.state == "offline"
    assert rig.log.getvalue().count("\n") == 2  # it is offline, and the alarm
    rig.stop()


def test_the_pauses_while_it_is_not_reached() -> None:
    """The pauses between requests double from 1 s to 60 s with a jitter."""
    rig = Rig()
    rig.cabinet.updated = (503, b"")
    rig.start(400)
    pauses = [later - sooner for sooner, later in pairwise(rig.cabinet.asked())]
    for pause, most in zip(pauses, [1, 2, 4, 8, 16, 32, 60, 60], strict=False):
        assert most / 2 - 0.1 <= pause <= most + 0.1
    assert len(pauses) > 8
    rig.stop()


def test_one_that_answers_but_uploads_nothing_is_offline() -> None:
    """An answer is no reading: without uploads it is offline, and the reason names the way."""
    rig = Rig()
    rig.cabinet.uploads = False
    rig.start(30)
    assert rig.state == "offline"
    assert "monitor.do" in (rig.device.status.last_error or "")
    rig.stop()


def test_uploads_alone_keep_it_online(rig: Rig) -> None:
    """Where asking fails but uploads come at its period, it is online, and an alarm tells."""
    rig.wire.unreachable.add("cabinet.test")
    rig.clock.run(300, 0.5)
    assert rig.state == "offline"
    for _ in range(4):
        rig.upload()
        assert rig.state == "online"
        rig.clock.run(300, 0.5)
        assert rig.state == "online"
    assert rig.raised() == {"no-commands"}
    rig.clock.run(590, 0.5)
    assert rig.state == "online"
    rig.clock.run(20, 0.5)
    assert rig.state == "offline"
    assert "no upload for 900 s" in rig.log.getvalue()
    rig.wire.unreachable.clear()
    rig.clock.run(90, 0.5)
    assert rig.state == "online"
    assert rig.raised() == set()


def test_one_that_is_asked_too_often_is_not_asked_more() -> None:
    """A code instead of an upload is not answered with haste: it is asked at the usual pace."""
    rig = Rig()
    rig.cabinet.updated = EtcCode.TOO_FREQUENT
    rig.start(1)
    rig.upload()
    rig.clock.run(600, 0.5)
    assert rig.state == "online"
    assert len(rig.cabinet.asked()) == 11
    assert "1005" in (rig.device.status.last_error or "")
    rig.stop()


@pytest.mark.parametrize(
    ("updated", "says"),
    [
        (None, "no answer within 10 s"),
        ((404, b""), "HTTP 404"),
        ((302, b""), "HTTP 302"),
        ((204, b""), "HTTP 204"),
        ((200, b"<html>"), "not JSON"),
        ((200, b"[]"), "no object"),
        ((200, b"{}"), "code"),
        ((200, b"x" * 100_000), "an answer of over"),
        ("9999" * 1000, "unknown code 9999999999"),
        (EtcCode.NOT_ALLOWED, "1001"),
    ],
)
def test_every_wrong_answer_is_a_reason(updated: Any, says: str) -> None:
    """Every way to answer wrongly makes it offline with a reason that holds no secret."""
    rig = Rig(poll=5.0)
    rig.cabinet.updated, rig.cabinet.msg = updated, f"wrong {AUTH}"
    rig.start(60)
    assert rig.state == "offline"
    assert says in (rig.device.status.last_error or "")
    assert AUTH not in rig.log.getvalue() + str(rig.device.status.last_error)
    rig.stop()


def test_a_stopped_driver_takes_nothing(rig: Rig) -> None:
    """After the stop no request is sent, an upload changes nothing, connections are let go."""
    rig.device.stopService()
    rig.upload(smokeSensor={"isWarning": "1"})
    asked = len(rig.cabinet.asked())
    rig.clock.run(200)
    assert (rig.raised(), len(rig.cabinet.asked()), rig.closed) == (set(), asked, 1)


def test_a_stop_within_a_request() -> None:
    """A request that is under way at the stop is given up, without a word in the log."""
    rig = Rig()
    rig.cabinet.updated = None
    rig.start(1)
    rig.stop()
    assert rig.log.getvalue() == ""
    assert rig.state == "connecting"


# -- settings


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://x/a",
        "http://",
        "http://host",
        "http://user:pw@host/a",
        "http://host/a?b",
        "a b/c",
    ],
)
def test_a_url_that_is_none(url: str) -> None:
    """A URL without a path, with a user or of another scheme is named as wrong, unseen."""
    with pytest.raises(WrongSetting) as caught:
        kind.build("cab1", CabinetSettings(url=url, auth=Secret(AUTH)), Bench().context)
    assert caught.value.key == "url"
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("auth", ["", "a\nb", "码", "x" * 129])
def test_a_code_that_no_header_carries(auth: str) -> None:
    """A code that no header can carry is named as wrong, and not shown."""
    with pytest.raises(WrongSetting) as caught:
        kind.build("cab1", CabinetSettings(url="http://h/a", auth=Secret(auth)), Bench().context)
    assert caught.value.key == "auth"
    assert auth == "" or auth not in str(caught.value)


def test_it_is_built_from_its_settings() -> None:
    """The kind builds a driver of another gantry's second cabinet, with its points declared."""
    bench = Bench()
    settings = CabinetSettings(
        url="https://h:3699/remotecontrol.do", auth=Secret(AUTH), gantry_id="G2", cabinet_id="2"
    )
    device = kind.build("cab2", settings, bench.context)
    assert device.uploads_as == ("G2", "2")
    assert bench.good("cab2.doors.defend_mode") == "no-data"
    assert AUTH not in repr(settings)
