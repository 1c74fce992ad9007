"""What cabinets below us upload, read leniently."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.material import checked, document, json_with, outcome
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.envelope import SENTINELS, Sentinel
from twisted_gantry.wire.etc.reports import Cabinet
from twisted_gantry.wire.etc.uploads import (
    GROUPS,
    LONGEST_TEXT,
    MAX_ROWS,
    CabinetUpload,
    decode_upload,
    upload_id,
)
from twisted_gantry.wire.json import loads_text
from twisted_gantry.wire.reading import Quality, Reading

UNITS = {"", "V", "A", "Hz", "W", "VA", "Wh", "Ah", "%", "°C", "s", "KiB"}
SAMPLE: dict[str, Any] = loads_text(document("etc-3.1.3"))["cabinetStatus"]


def sample(**changes: Any) -> CabinetUpload:
    """Read the document's example, with other groups."""
    return decode_upload(copy.deepcopy(SAMPLE) | changes)


def value_of(upload: CabinetUpload, group: str, field: str, row: str = "") -> Any:
    """Return a value that is good, else its quality."""
    reading = upload.groups[group].rows[row][field]
    return reading.value if reading.quality is Quality.GOOD else reading.quality.value


def air(**fields: Any) -> Any:
    """Return what the first air conditioner's fields are read as."""
    row = {**SAMPLE["airConditioners"][0], **fields}
    upload = sample(airConditioners=[row])
    [readings] = upload.groups["air_conditioners"].rows.values()
    return readings, dict(upload.odd)


def elec(key: str, text: Any) -> Any:
    """Return what a field of the mains is read as."""
    upload = sample(elec=[{**SAMPLE["elec"][0], key: text}])
    field = next(each for each in GROUPS["elec"].fields if each.key == key)
    return value_of(upload, "elec", field.name, "1")


def test_the_sample_of_the_document() -> None:
    """The example of 3.1.3 as printed, spaces in its keys included, is read without an oddity."""
    upload = decode_upload(loads_text(document("etc-3.1.3"))["cabinetStatus"])
    assert (upload.id, dict(upload.odd)) == ("1", {})
    rows = {name: list(group.rows) for name, group in upload.groups.items()}
    assert rows == {
        "elec": ["1"],
        "rectifier": ["1"],
        "ups": ["1"],
        "air_conditioners": ["1", "2"],
        "thermohygrometer": [""],
        "waterlogging_sensor": [""],
        "doors": [""],
        "smoke_sensor": [""],
        "thunder_spd": ["1"],
    }
    assert upload.groups["elec"].rows["1"] == {
        "status": Reading(True),
        "voltage": Reading(220.0, "V"),
        "current": Reading(10.0, "A"),
        "power": Reading(10_000.0, "W"),
        "frequency": Reading(50.0, "Hz"),
        "elec_consumption": Reading(100_000.0, "Wh"),
        "warning_msg": Reading(""),
    }
    assert value_of(upload, "ups", "running_state", "1") == "float-charge"
    assert value_of(upload, "ups", "surplus_time", "1") == 3600 * 60  # minutes, whatever it prints
    assert value_of(upload, "air_conditioners", "work_mode", "2") == "cooling"
    assert value_of(upload, "air_conditioners", "system_warning", "2") is False
    assert value_of(upload, "doors", "front_door_unlock_card_id") == "no-data"
    assert value_of(upload, "doors", "back_door_unlock_type") == "locked"
    assert value_of(upload, "doors", "back_door_change_time") == "2019-08-28 01:17:01.321"
    assert value_of(upload, "thunder_spd", "lightning_count", "1") == 1


def test_the_groups_are_those_of_the_report() -> None:
    """Every group and field of the report is there, in the document's order, with a unit."""
    assert ["id", *GROUPS] == list(Cabinet.__struct_fields__)
    for shape in GROUPS.values():
        names = [each.name for each in shape.fields]
        assert ["id"] * shape.is_array + names == list(shape.message.__struct_fields__)
        assert {each.kind.unit for each in shape.fields} <= UNITS


@pytest.mark.parametrize("sentinel", list(Sentinel))
def test_sentinels_are_qualities(sentinel: Sentinel) -> None:
    """Each sentinel, in a field or for a whole group, is the quality that it names."""
    quality = next(q for q, s in SENTINELS.items() if s is sentinel)
    readings, odd = air(isWorking=f" {sentinel.value} ", systemWarning=sentinel.value)
    assert {readings[n].quality for n in ("is_working", "system_warning")} == {quality}
    assert odd == {}
    upload = sample(smokeSensor=sentinel.value, elec=sentinel.value)
    assert value_of(upload, "smoke_sensor", "is_warning") == quality.value
    assert (upload.groups["elec"].rows, upload.groups["elec"].untold) == ({}, quality)


@pytest.mark.parametrize("name", list(GROUPS))
def test_a_missing_group_costs_that_group_alone(name: str) -> None:
    """A group that is missing is no-data and counted; the others are read."""
    fields = copy.deepcopy(SAMPLE)
    del fields[GROUPS[name].key]
    upload = decode_upload(fields)
    assert upload.groups[name].untold is Quality.NO_DATA
    # A cabinet built before 0.37 has no thunderSpd, which is nothing odd.
    assert dict(upload.odd) == ({} if name == "thunder_spd" else {"missing-group": 1})
    if not GROUPS[name].is_array:
        assert {r.quality for r in upload.groups[name].rows[""].values()} == {Quality.NO_DATA}
    others = {key: group for key, group in upload.groups.items() if key != name}
    assert others == {key: group for key, group in sample().groups.items() if key != name}


@pytest.mark.parametrize("odd", [None, "NoData?", 5, True, [], [7], {"status": []}])
def test_one_odd_sensor_does_not_lose_the_smoke_alarm(odd: Any) -> None:
    """Whatever another group holds, smoke is read."""
    smoke = SAMPLE["smokeSensor"] | {"isWarning": "1"}
    for name, shape in GROUPS.items():
        if name != "smoke_sensor":
            upload = sample(**{shape.key: odd, "smokeSensor": smoke})
            assert value_of(upload, "smoke_sensor", "is_warning") is True


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("voltage", "220.55", 220.55),
        ("voltage", " 220 ", 220.0),
        ("voltage", "-48", -48.0),
        ("voltage", "2.2e2", 220.0),
        ("voltage", "", "get-failed"),
        ("voltage", "220V", "get-failed"),
        ("voltage", "nan", "get-failed"),
        ("voltage", "inf", "get-failed"),
        ("voltage", "1_0", "get-failed"),
        ("voltage", "２２０", "get-failed"),
        ("voltage", "1" * 5000, "get-failed"),
        ("voltage", True, "get-failed"),
        ("voltage", [], "get-failed"),
        ("voltage", None, "no-data"),
        ("power", "2.3", 2300.0),
        ("elecConsumption", "0.01", 10.0),
        ("elecConsumption", "-1", "get-failed"),
        ("frequency", "-50", "get-failed"),
        ("status", "1", True),
        ("status", "0", False),
        ("status", True, True),
        ("status", False, False),
        ("status", "2", "get-failed"),
        ("status", "1，2，3", "get-failed"),
        ("warningMsg", "交流L1相缺相, 交流L2相缺相 ,", "交流L1相缺相,交流L2相缺相"),
        ("warningMsg", "a\nb\x00\ud800", "a b"),
        ("warningMsg", "", ""),
        *(("warningMsg", none, "") for none in ("无", " 正常 ", "0", "NULL", "--", "无,无")),
        ("warningMsg", "无, 输入欠压", "输入欠压"),
        ("warningMsg", "无市电", "无市电"),
        ("warningMsg", {}, "get-failed"),
    ],
)
def test_what_a_value_is_read_as(key: str, text: Any, value: Any) -> None:
    """A value is read in the catalogue's unit; an impossible one is get-failed."""
    read = elec(key, text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("group", "key", "text", "value"),
    [
        ("thermohygrometer", "humidity", "100", 100.0),
        ("thermohygrometer", "humidity", "100.1", "get-failed"),
        ("thermohygrometer", "temperature", "-20.5", -20.5),
        ("thermohygrometer", "temperature", "2000", "get-failed"),
        ("doors", "frontDoorUnlockType", "2", "remote"),
        ("doors", "frontDoorUnlockType", "4", "get-failed"),
        ("doors", "frontDoorUnlockCardId", " 1234567 ", "1234567"),
        ("doors", "frontDoorChangeTime", "2019-08-28 01:15:01", "2019-08-28 01:15:01.000"),
        ("doors", "frontDoorChangeTime", "2019/8/28 1:15:01.5", "2019-08-28 01:15:01.500"),
        ("doors", "frontDoorChangeTime", "2019-08-28T01:15:01,3219", "2019-08-28 01:15:01.321"),
        ("doors", "frontDoorChangeTime", "2019-02-30 01:15:01.321", "get-failed"),
        ("doors", "frontDoorChangeTime", "yesterday", "get-failed"),
    ],
)
def test_what_a_value_of_an_object_is_read_as(group: str, key: str, text: str, value: Any) -> None:
    """Percentages and temperatures have bounds; a time is kept as text if it is one."""
    upload = sample(**{group: SAMPLE[group] | {key: text}})
    [field] = [each for each in GROUPS[group].fields if each.key == key]
    assert value_of(upload, group, field.name) == value


def test_a_warning_of_an_air_conditioner_is_true() -> None:
    """The document's 0 is abnormal there: it is read as a warning, and written as 0 again."""
    readings, _ = air(systemWarning="0", temperatureWarning="1", status="0")
    assert readings["system_warning"] == Reading(True)
    assert readings["temperature_warning"] == Reading(False)
    assert readings["status"] == Reading(False)


def test_what_is_odd_is_counted() -> None:
    """Missing fields, impossible values and odd rows are counted apart."""
    row = SAMPLE["airConditioners"][0]
    bare = {"id": "3", "status": "maybe"}
    upload = sample(airConditioners=[row, 5, bare, {**row, "id": ""}])
    assert list(upload.groups["air_conditioners"].rows) == ["1", "3", "4"]
    assert dict(upload.odd) == {"odd-row": 1, "missing-field": 6, "impossible-value": 1}


def test_doors_come_as_an_object_or_an_array() -> None:
    """The doors are taken as both; none are not supported."""
    assert sample(doors=[SAMPLE["doors"]]).groups == sample().groups
    none = sample(doors=[]).groups["doors"]
    assert {reading.quality for reading in none.rows[""].values()} == {Quality.NOT_SUPPORTED}


def test_an_object_for_an_array_is_its_one_row() -> None:
    """Before 0.35 the mains were an object without an id."""
    old = {key: text for key, text in SAMPLE["elec"][0].items() if key != "id"}
    assert sample(elec=old).groups["elec"] == sample().groups["elec"]


def test_ids_are_made_parts_of_names() -> None:
    """An id keeps letters, digits, _ and -; two equal ones are told apart by their place."""
    row = SAMPLE["thunderSpd"][0]
    ids = ["a.b", "防雷1", "a-1", "x" * 100, "1", "1", "1-6", "NoData"]
    upload = sample(thunderSpd=[{**row, "id": each} for each in ids])
    names = list(upload.groups["thunder_spd"].rows)
    assert names == ["a_b", "__1", "a-1", "x" * 16, "1", "1-6", "1-6-7", "8"]
    assert upload.odd["equal-ids"] == 2


def test_rows_and_texts_are_bounded() -> None:
    """No upload makes more than MAX_ROWS rows of a group, nor a text longer than LONGEST_TEXT."""
    row = SAMPLE["elec"][0]
    many = [{**row, "id": str(n), "warningMsg": "x" * 10_000} for n in range(1000)]
    upload = sample(elec=many)
    assert len(upload.groups["elec"].rows) == MAX_ROWS
    assert len(value_of(upload, "elec", "warning_msg", "0")) == LONGEST_TEXT
    assert upload.odd["too-many-rows"] == 1


@pytest.mark.parametrize(
    "broken", [None, [], "1", 5, {}, {"id": None}, {"id": ""}, {"id": " "}, {"id": "1" * 21}]
)
def test_a_broken_envelope_is_no_report(broken: Any) -> None:
    """Only what is no object with an id is refused."""
    with pytest.raises(BadMessage):
        decode_upload(broken)
    with pytest.raises(BadMessage):
        upload_id(broken)


_KEYS = [
    "id",
    *(shape.key for shape in GROUPS.values()),
    *(field.key for shape in GROUPS.values() for field in shape.fields),
]


@given(json_with(*_KEYS))
@checked
def test_nothing_but_bad_message(fields: Any) -> None:
    """Anything that JSON can carry is an upload or a BadMessage; values fit their fields."""
    got = outcome(lambda: decode_upload(fields), BadMessage)
    if isinstance(got, CabinetUpload):
        for name, group in got.groups.items():
            assert len(group.rows) <= MAX_ROWS
            for readings in group.rows.values():
                assert list(readings) == [field.name for field in GROUPS[name].fields]


_groups = {shape.key: json_with(*_KEYS) for shape in GROUPS.values()}


@given(st.fixed_dictionaries({}, optional=_groups))
@checked
def test_every_group_may_be_anything(groups: dict[str, Any]) -> None:
    """With an id, whatever the groups are, there is an upload with every group in it."""
    assert list(decode_upload({"id": "1"} | groups).groups) == list(GROUPS)


_texts = st.sampled_from(["0", "1", "2", "3", "220.5", "12", "2019-08-28 01:15:01.321", "x, y"])


@given(st.sampled_from(sorted(GROUPS)), st.data())
@checked
def test_what_was_read_is_written_and_read_again(name: str, data: st.DataObject) -> None:
    """`write` is the inverse of reading: what it writes is read as the same value."""
    shape = GROUPS[name]
    row = {field.key: data.draw(_texts) for field in shape.fields} | {"id": "1"}
    first = next(iter(decode_upload({"id": "1", shape.key: [row]}).groups[name].rows.values()))
    written = {
        field.key: field.write(first[field.name].value)
        for field in shape.fields
        if first[field.name].quality is Quality.GOOD
    }
    second = next(
        iter(
            decode_upload({"id": "1", shape.key: [written | {"id": "1"}]})
            .groups[name]
            .rows.values()
        )
    )
    for field in shape.fields:
        if first[field.name].quality is Quality.GOOD:
            assert second[field.name] == first[field.name]


def test_values_are_written_as_the_document_has_them() -> None:
    """kW, kWh and minutes come back, flags are 1 and 0, percentages have two decimals."""
    fields = {f"{g}.{f.name}": f for g, shape in GROUPS.items() for f in shape.fields}
    assert fields["elec.power"].write(2300.0) == "2.3"
    assert fields["elec.elec_consumption"].write(100_000.0) == "100"
    assert fields["ups.surplus_time"].write(5400.0) == "90"
    assert fields["ups.power_rate"].write(99.0) == "99.00"
    assert fields["ups.running_state"].write("testing") == "5"
    assert fields["air_conditioners.system_warning"].write(True) == "0"
    assert fields["doors.front_door_closed"].write(True) == "1"
    assert fields["thunder_spd.lightning_count"].write(7) == "7"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("elec.power", "much"),
        ("elec.power", None),
        ("ups.running_state", "4"),
        ("ups.power_rate", []),
    ],
)
def test_what_a_field_cannot_have_is_not_written(field: str, value: Any) -> None:
    """A value that the field cannot have is written as GetFailed, and breaks no report."""
    group, _, name = field.partition(".")
    [found] = [each for each in GROUPS[group].fields if each.name == name]
    assert found.write(value) == "GetFailed"
