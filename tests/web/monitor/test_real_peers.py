"""What real cabinets send to `monitor.do`: one odd value costs that value, never a smoke alarm."""

import io
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import globalLogPublisher, textFileLogObserver

from tests.devices.cabinet.rig import AUTH, Rig
from tests.http_client import Client
from tests.support import no_computers
from tests.wire.material import document
from twisted_gantry.web.monitor.endpoint import Monitor, MonitorSettings
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.uploads import CabinetUpload, decode_upload
from twisted_gantry.wire.reading import Quality
from twisted_gantry.wire.secret import Secret

GANTRY = "G000211001002110010"
SMOKE = {"status": "1", "isWarning": "1", "warningChangeTime": "NoData"}
QUIET = {**SMOKE, "isWarning": "0"}


class Below:
    """Our `monitor.do` over a real driver named `cab1`."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.rig.start()
        self.rig.settle()
        given = MonitorSettings(listen="tcp:8082", auth=Secret(AUTH))
        clock = self.rig.clock
        self.monitor = Monitor(given, self.rig.bench.site, clock, clock.now, no_computers)
        self.client = Client(self.monitor.resource())
        self.log = io.StringIO()

    def post(self, body: bytes) -> str:
        """Send a body, rightly signed, and return the code of the answer."""
        answer = self.client.send(
            "POST", "/monitor.do", body, binfile_md5=etc.digest(body), binfile_auth=AUTH
        ).ended()
        assert answer.status == 200
        return str(answer.json["code"])

    def body(self, cabinet: str, **changes: str) -> bytes:
        """Return a body with texts of JSON in it; `cabinet` has the groups."""
        given = {
            "gantryId": f'"{GANTRY}"',
            "method": '"cabinetStatusUpdate"',
            "timeStamp": f'"{int(self.rig.clock.now())}"',
            "version": '"1001"',
            "cabinetStatus": '{"id":"1",' + cabinet + "}",
        } | changes
        return ("{" + ",".join(f'"{k}":{v}' for k, v in given.items() if v) + "}").encode()

    def value(self, point: str) -> Any:
        """Return a good value, else the quality."""
        found = self.rig.bench.points.get(f"cab1.{point}")
        assert found is not None
        return found.value if found.quality is Quality.GOOD else found.quality.value


@pytest.fixture
def below() -> Iterator[Below]:
    made = Below()
    observer = textFileLogObserver(made.log)
    globalLogPublisher.addObserver(observer)
    yield made
    globalLogPublisher.removeObserver(observer)
    made.rig.stop()


_SMOKE = f'"smokeSensor":{json.dumps(SMOKE)}'
_THERMO = '"thermohygrometer":{"status":"1","temperature":%s,"humidity":"40"}'


@pytest.mark.parametrize("group", ["smoke", "waterlogging"])
@pytest.mark.parametrize(
    "sensors",
    [
        [QUIET, SMOKE],
        [SMOKE, QUIET],
        [QUIET, QUIET, {"isWarning": 1.0}],
        [None, SMOKE],
        [{"isWarning": "?"}, SMOKE],
        [[QUIET], [SMOKE]],
        SMOKE,
        {**SMOKE, "isWarning": True},
        {**SMOKE, "isWarning": " 01 "},
        {**SMOKE, "isWarning": ["0", "1"]},
        {**SMOKE, "status": 7},
        {"isWarning": "1"},
    ],
)
def test_any_sensor_that_warns_raises_the_alarm(below: Below, group: str, sensors: Any) -> None:
    """A sensor as an array warns when any element does, in every spelling of the flag."""
    assert below.post(below.body(f'"{group}Sensor":{json.dumps(sensors)}')) == "1000"
    assert below.value(f"{group}_sensor.is_warning") is True
    assert {"smoke": "smoke", "waterlogging": "water"}[group] in below.rig.raised()


@pytest.mark.parametrize(
    ("sensors", "value"),
    [
        ([QUIET, QUIET], False),
        ([QUIET, None], "get-failed"),
        ([QUIET, {"isWarning": "2"}], "get-failed"),
        ([QUIET, {**QUIET, "isWarning": "NoData"}], "no-data"),
        ([QUIET, {**QUIET, "isWarning": "NotSupport"}], False),
        (None, "no-data"),
        ([], "not-supported"),
        ("?", "get-failed"),
    ],
)
def test_what_is_not_known_is_not_good(below: Below, sensors: Any, value: Any) -> None:
    """Without an element that warns, one that is not known leaves the sensor unknown."""
    assert below.post(below.body(f'"smokeSensor":{json.dumps(sensors)}')) == "1000"
    assert below.value("smoke_sensor.is_warning") == value
    assert "smoke" not in below.rig.raised()


def test_doors_in_two_elements(below: Below) -> None:
    """An array with a door in each element is read as one object; an opening keeps its own card."""
    opened = {"frontDoorClosed": "0", "frontDoorUnlockCardId": "77", "status": "1"}
    shut = {"frontDoorClosed": "1", "frontDoorUnlockCardId": "NoData", "backDoorClosed": 1}
    assert below.post(below.body(f'"doors":{json.dumps([shut, opened])}')) == "1000"
    assert below.value("doors.front_door_closed") is False
    assert below.value("doors.front_door_unlock_card_id") == "77"
    assert below.value("doors.back_door_closed") is True


@pytest.mark.parametrize(
    "odd", ["nan", "1.#QNAN", "1e999", "-inf", "025", "", "0x", '"1\xff2"', '"21\xff"']
)
def test_a_number_that_cannot_be_read_costs_that_number(below: Below, odd: str) -> None:
    """The value is get-failed; all else is taken."""
    body = below.body(f"{_THERMO % odd},{_SMOKE}").replace("\xff".encode(), b"\xff")
    assert below.post(body) == "1000"
    assert below.value("thermohygrometer.temperature") == "get-failed"
    assert below.value("thermohygrometer.humidity") == 40.0
    assert "smoke" in below.rig.raised()
    assert below.rig.device.counts["repaired"] == 1


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b"}", b"}\0"),
        (b"}", b"}\r\n\0\0"),
        ("输入欠压".encode(), "输入欠压\n".encode()),
        ("输入欠压".encode(), "输入欠压".encode("gbk")),
        ("输入欠压".encode(), "输入欠压".encode()[:-1]),
        ("输入欠压".encode(), b"a\x01b\tc"),
        (b"{", b"\xef\xbb\xbf{"),
    ],
)
def test_hand_made_json(below: Below, good: bytes, bad: bytes) -> None:
    """A broken bit costs that bit at most."""
    elec = '"elec":[{"id":"1","status":"1","voltage":"187","warningMsg":"输入欠压"}]'
    body = below.body(f"{elec},{_SMOKE}")
    at = body.rindex(good) if good == b"}" else body.index(good)
    assert below.post(body[:at] + bad + body[at + len(good) :]) == "1000"
    assert {"smoke", "mains-warning"} <= below.rig.raised()
    assert below.value("elec.1.voltage") == 187.0


@pytest.mark.parametrize(
    "group",
    [
        f'"note":"19" rack",{_SMOKE}',
        f'"note":"a"{_SMOKE}',
        f'"count":12 {_SMOKE}',
        f'"count":12{_SMOKE}',
        f'"thermohygrometer":{{"status":"1"}} {_SMOKE}',
        '"smokeSensor":[{"isWarning":"0"} {"isWarning":"1"}]',
        '"smokeSensor":{"isWarning":"1","warningChangeTime":2026-11-30 09:00:00.000}',
        '"smokeSensor":{"status":True,"isWarning":True,"warningChangeTime":None}',
        '"smokeSensor":{"status":"1\\u0000","isWarning":"1\\u0000\\u0000"}',
    ],
)
def test_damage_between_members_hides_no_smoke(below: Below, group: str) -> None:
    """A lost comma, a quote within a text, Python's spelling, the rest of a buffer: 1 is 1."""
    assert below.post(below.body(group)) == "1000"
    assert below.value("smoke_sensor.is_warning") is True
    assert "smoke" in below.rig.raised()


def test_an_upload_in_a_list_or_in_a_text(below: Below) -> None:
    """A body alone in a list, and fields that were encoded twice, are read; a command is not."""
    twice = json.dumps('{"id":"1\\u0000",' + _SMOKE + "}")
    odd = b"[" + below.body("", cabinetStatus=twice, gantryId=f'"{GANTRY}\\u0000"') + b"]"
    assert below.post(odd) == "1000"
    assert "smoke" in below.rig.raised()
    with pytest.raises(etc.EtcRefused, match="no object"):
        etc.check_body(odd, methods=etc.MONITOR, gantry_id=None)
    damaged = json.dumps('{"id":"1","x":nan,' + _SMOKE.replace('"1"', '"0"') + "}")
    body = below.body("", cabinetStatus=damaged)
    assert below.post(body) == "1000"
    assert "smoke" not in below.rig.raised()
    checked = etc.check_body(body, methods=etc.MONITOR, gantry_id=None, reports=True)
    assert checked.fields["x"] == "GetFailed"
    assert len(checked.repairs) == 1


def test_whole_numbers_as_doubles(below: Below) -> None:
    """1.0 is 1: in flags, ids, version and time stamp."""
    sensor = '{"status":1.0,"isWarning":1.0,"warningChangeTime":"NoData"}'
    for spelling in ("1.0", '"01"', '" 1 "', "1"):
        cabinet = f'{{"id":{spelling},"smokeSensor":{sensor}}}'
        now = f"{int(below.rig.clock.now())}.0"
        body = below.body("", version="1001.0", timeStamp=now, cabinetStatus=cabinet)
        assert below.post(body) == "1000"
    assert below.rig.raised() == {"smoke"}


@pytest.mark.parametrize(
    "stamp",
    [
        "1796000000000",
        '"1796000000000"',
        '"2026-11-30 09:00:00"',
        '""',
        "null",
        "",
        "1796000000.0",
        "[]",
        "nan",
        "1e400",
        '"soon"',
        "-1",
        "0",
    ],
)
def test_an_odd_time_stamp(below: Below, stamp: str) -> None:
    """The upload is taken with our time, and clock-skew is raised."""
    assert below.post(below.body(_SMOKE, timeStamp=stamp)) == "1000"
    assert below.rig.raised() == {"smoke", "clock-skew"}


@pytest.mark.parametrize("version", ["", "null", '""', "1001.0", '"01001"', "nan"])
def test_a_version_that_is_missing_or_oddly_spelt(below: Below, version: str) -> None:
    """A missing version does no harm."""
    assert below.post(below.body(_SMOKE, version=version)) == "1000"
    assert below.rig.raised() == {"smoke"}


def test_cabinets_in_an_array(below: Below) -> None:
    """An array of cabinets is one report for each; an unknown one costs itself."""
    cabinets = [{"id": "7"}, {"id": 1, "smokeSensor": SMOKE}, None]
    body = below.body("", cabinetStatus=json.dumps(cabinets))
    assert below.post(body) == "1000"
    assert below.rig.raised() == {"smoke"}
    assert "no device uploads as" in below.log.getvalue()


@pytest.mark.parametrize("given", ["", '"id":null,', '"id":"",', '"id":"NoData",', '"id":nan,'])
def test_the_only_cabinet_needs_no_id(below: Below, given: str) -> None:
    """A report without an id that can be read is of the only cabinet; an empty one of none."""
    body = below.body("", cabinetStatus="{" + given + f'"smokeSensor":{json.dumps(SMOKE)}}}')
    assert below.post(body) == "1000"
    assert below.rig.raised() == {"smoke"}
    assert below.post(below.body("", cabinetStatus="{" + given.rstrip(",") + "}")) == "1002"


def test_a_refused_upload_is_the_last_error(below: Below) -> None:
    """`lastError` and the log say what came, without the code."""
    assert below.post(b'{"gantryId" "' + AUTH.encode() + b'"}') == "1002"
    error = below.rig.device.status.last_error or ""
    assert "an upload from 192.0.2.7 is refused: 1002: not JSON" in error
    assert '"gantryId" "***"' in error
    below.rig.clock.run(400, step=1.0)
    assert "is refused: 1002" in (below.rig.device.status.last_error or "")
    assert AUTH not in below.log.getvalue()


def test_rows_that_cannot_be_read_are_not_gone(below: Below) -> None:
    """Rows of a group with an odd row stay, get-failed, however often that happens."""
    rows = [{"id": "1", "status": "0"}, {"id": "2", "status": "1"}]
    below.post(below.body(f'"rectifier":{json.dumps(rows)}'))
    assert "rectifier-fault" in below.rig.raised()
    for _ in range(5):
        below.post(below.body(f'"rectifier":{json.dumps([None, rows[1]])}'))
    assert below.value("rectifier.1.status") == "get-failed"
    assert "rectifier-fault" in below.rig.raised()


def test_a_row_without_an_id_takes_no_other_place(below: Below) -> None:
    """The row gets its place, unless that is the id of another row."""
    rows = [{"status": "1"}, {"id": "1", "status": "0"}]
    below.post(below.body(f'"rectifier":{json.dumps(rows)}'))
    assert below.value("rectifier.1.status") is False


# -- one byte


def _readings(upload: CabinetUpload) -> dict[tuple[str, str, str], Any]:
    return {
        (group, row, name): reading.value
        for group, told in upload.groups.items()
        for row, readings in told.rows.items()
        for name, reading in readings.items()
        if reading.quality is Quality.GOOD
    }


def _damaged(body: bytes, at: int, how: int, byte: int) -> bytes:
    middle = [bytes([byte]), b"", body[at : at + 1] * 2][how]
    return body[:at] + middle + body[at + 1 :]


def test_one_byte_never_gives_another_members_value() -> None:
    """Any byte of an upload replaced, removed or doubled: no error but a refusal, and at most one
    value of the rows that keep their ids is another one.
    """
    whole = document("etc-3.1.3")
    good = _readings(decode_upload(_checked(whole).fields))
    chance = random.Random(3)
    taken = 0
    for _ in range(1500):
        at, how, byte = chance.randrange(len(whole)), chance.randrange(3), chance.randrange(256)
        try:
            upload = decode_upload(_checked(_damaged(whole, at, how, byte)).fields)
        except (etc.EtcRefused, BadMessage):
            continue
        taken += 1
        in_an_id = b'"id"' in whole[at - 8 : at + 5]
        changed = {k for k, v in _readings(upload).items() if k in good and good[k] != v}
        assert in_an_id or len(changed) <= 1, (at, how, byte, changed)
    assert taken > 900


def _checked(body: bytes) -> etc.Request:
    return etc.check_request(
        body,
        {etc.AUTH_HEADER: AUTH, etc.MD5_HEADER: etc.digest(body)},
        auth=AUTH,
        methods=etc.MONITOR,
        gantry_id=None,
        now=0,
        skew=float("inf"),
        reports=True,
    )
