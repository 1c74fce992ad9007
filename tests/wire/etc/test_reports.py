"""The two reports of the ETC gantry interface."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.material import checked, document, json_with, outcome, texts
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.envelope import Method, Sentinel
from twisted_gantry.wire.etc.reports import (
    AirConditioner,
    Cabinet,
    Computer,
    Doors,
    Elec,
    Group,
    Rectifier,
    Sensor,
    Thermohygrometer,
    ThunderSpd,
    Ups,
    decode_report,
    filled,
)
from twisted_gantry.wire.json import dumps, loads

_GROUPS: list[type[Group]] = [
    Computer,
    Elec,
    Rectifier,
    Ups,
    AirConditioner,
    Thermohygrometer,
    Sensor,
    Doors,
    ThunderSpd,
]


def of(group: type[Any]) -> st.SearchStrategy[Any]:
    """Return groups whose every field is some text."""
    return st.builds(group, **dict.fromkeys(group.__struct_fields__, texts))


def some(group: type[Any]) -> st.SearchStrategy[Any]:
    """Return arrays of such groups, empty ones among them."""
    return st.lists(of(group), max_size=2).map(tuple)


cabinets = st.builds(
    Cabinet,
    id=texts,
    elec=some(Elec),
    rectifier=some(Rectifier),
    ups=some(Ups),
    air_conditioners=some(AirConditioner),
    thermohygrometer=of(Thermohygrometer),
    waterlogging_sensor=of(Sensor),
    doors=of(Doors),
    smoke_sensor=of(Sensor),
    thunder_spd=some(ThunderSpd),
)


def printed(name: str, key: str) -> Any:
    """Return the fields of an example as a receiver gets them: keys stripped."""
    return loads(document(name))[key]


def test_the_sample_computers() -> None:
    """The example of 2.1.3 is read with both computers and every field of them."""
    fields = printed("etc-2.1.3", "computerStatus")
    report = decode_report(Method.COMPUTER_STATUS, fields)
    assert isinstance(report, tuple)
    assert msgspec.to_builtins(report) == tuple(fields)
    assert [(each.id, each.sys_disk_usage, each.ip) for each in report] == [
        ("1", "99.99", "192.168.1.1"),
        ("2", "99.99", "192.168.1.2"),
    ]


def test_the_sample_cabinet() -> None:
    """The example of 3.1.3 is read with every group of it, `" lightningCount "` included."""
    fields = printed("etc-3.1.3", "cabinetStatus")
    report = decode_report(Method.CABINET_STATUS, fields)
    assert isinstance(report, Cabinet)
    assert json.loads(dumps(report)) == fields
    assert report.elec[0].elec_consumption == "100"
    assert report.rectifier[0].current_limiting == "0"
    assert report.ups[0].surplus_time == "3600"
    assert [each.id for each in report.air_conditioners] == ["1", "2"]
    assert report.waterlogging_sensor.warning_change_time == "2019-08-28 14:11:01.321"
    assert report.smoke_sensor.warning_change_time == "2019-08-28 20:12:01.321"
    assert report.doors.back_door_change_time == "2019-08-28 01:17:01.321"
    assert report.thunder_spd == (ThunderSpd(id="1", status="1", lightning_count="1"),)


@pytest.mark.parametrize(
    ("name", "key", "method"),
    [
        ("etc-2.1.3", "computerStatus", Method.COMPUTER_STATUS),
        ("etc-3.1.3", "cabinetStatus", Method.CABINET_STATUS),
    ],
)
def test_a_report_is_written_as_the_document_prints_it(name: str, key: str, method: Method) -> None:
    """What is sent has the document's keys in the document's order, without its stray spaces."""
    fields = printed(name, key)
    assert dumps(decode_report(method, fields)) == dumps(fields)
    assert b'" ' not in dumps(decode_report(method, fields))


@given(cabinets)
@checked
def test_a_cabinet_is_read_as_it_was_sent(cabinet: Cabinet) -> None:
    """Decoding undoes encoding of a cabinet's report."""
    assert decode_report(Method.CABINET_STATUS, loads(dumps(cabinet))) == cabinet


@given(some(Computer))
@checked
def test_computers_are_read_as_they_were_sent(computers: tuple[Computer, ...]) -> None:
    """Decoding undoes encoding of the computers' report."""
    assert decode_report(Method.COMPUTER_STATUS, loads(dumps(computers))) == computers


def _without(fields: Any, path: list[str | int]) -> Any:
    copy = json.loads(json.dumps(fields))
    place = copy
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return copy


def _paths(node: Any, before: tuple[str | int, ...] = ()) -> list[list[str | int]]:
    """Return the way to every key of every object."""
    items = enumerate(node) if isinstance(node, list) else node.items()
    found: list[list[str | int]] = []
    for step, inner in items:
        if isinstance(step, str):
            found.append([*before, step])
        if isinstance(inner, dict | list):
            found += _paths(inner, (*before, step))
    return found


@pytest.mark.parametrize(
    ("name", "key", "method", "count"),
    [
        ("etc-2.1.3", "computerStatus", Method.COMPUTER_STATUS, 26),
        ("etc-3.1.3", "cabinetStatus", Method.CABINET_STATUS, 77),
    ],
)
def test_every_field_is_required(name: str, key: str, method: Method, count: int) -> None:
    """A report that lacks any one field of any group is refused, and the field is named."""
    fields = printed(name, key)
    paths = _paths(fields)
    assert len(paths) == count
    for path in paths:
        with pytest.raises(BadMessage, match=f"`{path[-1]}`"):
            decode_report(method, _without(fields, path))


def test_a_field_that_is_not_known_is_passed_over() -> None:
    """A later version may add fields: they do not harm."""
    fields = printed("etc-3.1.3", "cabinetStatus")
    more = {**fields, "later": 1, "smokeSensor": {**fields["smokeSensor"], "later": {}}}
    assert decode_report(Method.CABINET_STATUS, more) == decode_report(
        Method.CABINET_STATUS, fields
    )


def test_groups_that_a_site_lacks() -> None:
    """An array may be empty, and an object may say NotSupport throughout."""
    lacking = Cabinet(
        id="1",
        elec=(),
        rectifier=(),
        ups=(),
        air_conditioners=(),
        thermohygrometer=filled(Thermohygrometer, Sentinel.NOT_SUPPORT),
        waterlogging_sensor=filled(Sensor, Sentinel.NOT_SUPPORT),
        doors=filled(Doors, Sentinel.NOT_SUPPORT),
        smoke_sensor=filled(Sensor, Sentinel.NOT_SUPPORT),
        thunder_spd=(),
    )
    sent = loads(dumps(lacking))
    assert sent["elec"] == []
    assert sent["smokeSensor"] == {
        "status": "NotSupport",
        "isWarning": "NotSupport",
        "warningChangeTime": "NotSupport",
    }
    assert decode_report(Method.CABINET_STATUS, sent) == lacking


@pytest.mark.parametrize("sentinel", Sentinel)
@pytest.mark.parametrize("group", _GROUPS)
def test_a_group_filled_with_a_sentinel(group: type[Group], sentinel: Sentinel) -> None:
    """`filled` puts the sentinel, as plain text, in every field that is not given."""
    first, *others = group.__struct_fields__
    made = filled(group, sentinel, **{first: "7"})
    assert getattr(made, first) == "7"
    for name in others:
        assert getattr(made, name) == sentinel.value
        assert type(getattr(made, name)) is str


def test_a_report_does_not_change() -> None:
    """A report that was made stays as it is: it may be in the outbox already."""
    sensor = filled(Sensor, Sentinel.NO_DATA)
    with pytest.raises(AttributeError):
        sensor.status = "1"  # type: ignore[misc]


@given(
    json_with(
        *("id", "elec", "rectifier", "ups", "airConditioners", "thermohygrometer", "doors"),
        *("waterloggingSensor", "smokeSensor", "thunderSpd", "status", "isWarning"),
    ),
    st.sampled_from(Method),
    st.sampled_from([None, "id", "elec", "doors", "thunderSpd"]),
)
@checked
def test_any_json_raises_badmessage_alone(value: Any, method: Method, key: str | None) -> None:
    """Any JSON, as a report or in one group of it, is a report or BadMessage."""
    good = printed("etc-3.1.3", "cabinetStatus")
    fields = value if key is None else {**good, key: value}
    got = outcome(lambda: decode_report(method, fields), BadMessage)
    assert isinstance(got, tuple | Cabinet | BadMessage)


@pytest.mark.parametrize("fields", [None, {}, "x", 1, [[]], [None], [{"id": "1"}]])
def test_what_is_no_report_is_a_bad_message(fields: Any) -> None:
    """What is no array of computers and no cabinet is BadMessage."""
    for method in (Method.COMPUTER_STATUS, Method.CABINET_STATUS):
        with pytest.raises(BadMessage):
            decode_report(method, fields)
