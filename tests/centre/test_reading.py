"""What reports tell: conditions that hold, are unknown or do not hold, and battery minutes."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.material import document
from twisted_gantry.centre.model import Told
from twisted_gantry.centre.reading import CONDITIONS, read_cabinets, told
from twisted_gantry.wire.etc.conditions import ReportCondition
from twisted_gantry.wire.etc.envelope import Method
from twisted_gantry.wire.etc.uploads import GROUPS, MAX_ROWS, Field
from twisted_gantry.wire.json import loads_text

SAMPLE: dict[str, Any] = loads_text(document("etc-3.1.3"))["cabinetStatus"]
CABINET = Method.CABINET_STATUS
TOLD = [each for each in CONDITIONS if each.field]
UNTOLD: tuple[Any, ...] = ("NoData", "GetFailed", " NoData ", "?", None, {}, [])


def field_of(about: ReportCondition) -> Field:
    return next(e for e in GROUPS[about.group].fields if e.name == about.field)


def worse(about: ReportCondition) -> str:
    """Return how a report writes the worse value."""
    return "市电故障" if about.worse == "*" else field_of(about).write(about.worse)


def sample(group: str = "", key: str = "", value: Any = None) -> dict[str, Any]:
    """Return the example of the document with another value of a field, in its first row."""
    made = copy.deepcopy(SAMPLE)
    if group:
        shape = GROUPS[group]
        row = made[shape.key][0] if shape.is_array else made[shape.key]
        row[key] = value
    return made


def cabinet(fields: Any) -> Told:
    [found] = told(CABINET, fields)
    return found


def test_the_example_of_the_document_raises_nothing() -> None:
    """A clean report tells its cabinet, and no condition; numbers and text are one."""
    assert cabinet(SAMPLE) == Told("cabinet-1", frozenset(), on_battery=False, strikes=(1,))
    assert cabinet(sample("elec", "status", 1)) == cabinet(SAMPLE)
    assert cabinet(sample("elec", "status", True)) == cabinet(SAMPLE)
    assert told(Method.CARDS, {"curVersion": "0"}) == ()


@pytest.mark.parametrize("about", TOLD, ids=lambda each: each.name)
def test_each_condition_is_raised_unknown_or_over(about: ReportCondition) -> None:
    """The worse value raises a condition, one that cannot be read leaves it, NotSupport ends it."""
    key = field_of(about).key
    assert about.name in cabinet(sample(about.group, key, worse(about))).raised
    for value in UNTOLD:
        if value == "?" and about.worse == "*":  # a text of any kind is a warning
            continue
        found = cabinet(sample(about.group, key, value))
        assert (about.name in found.raised, about.name in found.unknown) == (False, True)
    found = cabinet(sample(about.group, key, "NotSupport"))
    assert about.name not in found.raised | found.unknown


@pytest.mark.parametrize("group", sorted({each.group for each in TOLD}))
def test_a_group_that_is_missing_is_unknown_and_one_that_is_gone_is_over(group: str) -> None:
    """Without its group a condition stays as it was; an empty group has nothing that fails."""
    key, names = GROUPS[group].key, {each.name for each in CONDITIONS if each.group == group}
    names.discard("lightning")
    without = {name: value for name, value in SAMPLE.items() if name != key}
    assert cabinet(without).unknown == names
    assert cabinet({**SAMPLE, key: "GetFailed"}).unknown == names
    on_battery = None if group == "ups" else False
    strikes = None if group == "thunder_spd" else (1,)
    expected = replace(cabinet(SAMPLE), on_battery=on_battery, strikes=strikes)
    assert cabinet({**SAMPLE, key: []}) == expected


def test_several_rows_tell_the_worst() -> None:
    """One row that fails raises the condition, whatever the others say or do not say."""
    row = SAMPLE["rectifier"][0]
    bad, odd = {**row, "id": "2", "status": "0"}, {**row, "id": "3", "status": "GetFailed"}
    found = cabinet({**SAMPLE, "rectifier": [row, odd, bad]})
    assert (set(found.raised), set(found.unknown)) == ({"rectifier-fault"}, set())
    found = cabinet({**SAMPLE, "rectifier": [row, odd]})
    assert (set(found.raised), set(found.unknown)) == (set(), {"rectifier-fault"})
    many = cabinet({**SAMPLE, "rectifier": [row] * (MAX_ROWS + 1)})
    assert many.unknown == {"rectifier-fault", "rectifier-warning"}


def ups(**fields: str) -> dict[str, str]:
    return {**SAMPLE["ups"][0], **fields}


@pytest.mark.parametrize(
    ("rows", "elec", "expected"),
    [
        ([ups(runningState="3", surplusTime="90"), ups(surplusTime="5")], "1", (True, 90)),
        ([ups(runningState="3", surplusTime=t) for t in ("90", "45.5", "?")], "0", (True, 45.5)),
        ([ups(runningState="3", surplusTime="65535")], "0", (True, None)),
        ([ups(runningState="3", surplusTime="-1")], "0", (True, None)),
        ([ups(surplusTime="90"), ups(surplusTime="80")], "0", (False, 80)),
        ([ups(surplusTime="90")], "1", (False, None)),
        ([ups(runningState="NoData", surplusTime="90")], "1", (None, None)),
        ([ups(runningState="NotSupport", surplusTime="90")], "0", (False, 90)),
        ([], "0", (None, None)),
    ],
)
def test_battery_minutes_are_the_least_on_battery(
    rows: list[Any], elec: str, expected: tuple[bool | None, float | None]
) -> None:
    """UPSs that discharge count; without mains all do if none says that it discharges."""
    found = cabinet({**sample("elec", "status", elec), "ups": rows})
    assert (found.on_battery, found.battery_minutes) == expected
    assert ("on-battery" in found.raised) == (found.on_battery is True)


@pytest.mark.parametrize(
    ("fields", "raised"),
    [
        ({"voltage": "0", "frequency": "0"}, True),
        ({"voltage": "60", "current": "0"}, True),
        ({"voltage": "0"}, False),
        ({"voltage": "GetFailed", "current": "0"}, False),
        ({"voltage": "NotSupport", "current": "0"}, False),
        ({"voltage": "230", "current": "0"}, False),
    ],
)
def test_a_normal_flag_is_held_against_the_voltage(fields: dict[str, str], raised: bool) -> None:
    """A row without voltage is abnormal when frequency or current agree, whatever its flag says."""
    found = cabinet({**SAMPLE, "elec": [{**SAMPLE["elec"][0], **fields}]})
    assert ("mains-abnormal" in found.raised) == raised


@pytest.mark.parametrize(
    ("group", "text", "raised"),
    [
        ("ups", "UPS输出关闭", {"output-off"}),
        ("ups", "电池电压低, UPS电池放电", {"battery-low", "on-battery"}),
        ("ups", "电池熔丝断，UPS过载", {"ups-warning", "overload"}),
        ("elec", "交流L2相缺相,输入过压", {"phase-l2-lost", "input-over-voltage"}),
        ("elec", "市电异常", {"mains-abnormal"}),
        ("elec", "UPS过载", {"mains-warning"}),
        ("rectifier", "输入过压", {"rectifier-warning"}),
        ("rectifier", " , ", set()),
        ("rectifier", "无", set()),
        ("ups", "正常,电池电压低", {"battery-low"}),
    ],
)
def test_a_warning_says_what_it_is(group: str, text: str, raised: set[str]) -> None:
    """A text of the table raises its own condition, with its severity; another one is a warning."""
    assert set(cabinet(sample(group, "warningMsg", text)).raised) == raised


def test_a_report_may_hold_several_cabinets_and_one_may_lack_its_id() -> None:
    """Each cabinet of an array is a subject; two of one id tell the worst; none is number 1."""
    smoke = sample("smoke_sensor", "isWarning", "1")
    unread = sample("smoke_sensor", "isWarning", "NoData")
    found = told(CABINET, [SAMPLE, {**smoke, "id": "02"}, {**unread, "id": "2"}, "?"])
    assert [(each.subject, set(each.raised)) for each in found] == [
        ("cabinet-1", set()),
        ("cabinet-2", {"smoke"}),
    ]
    assert found[1].unknown == set()
    assert cabinet({**smoke, "id": "GetFailed"}).subject == "cabinet-1"
    assert cabinet({**smoke, "id": "东 1\1"}).subject == "cabinet-__1_"
    assert cabinet({**smoke, "id": "1\0\0"}).subject == "cabinet-1"
    odd: Any
    for odd in ("x", [], {}, None, 3, [[]]):
        assert told(CABINET, odd) == ()


def test_computers_have_a_state_and_no_condition() -> None:
    """Each computer of a report is a subject."""
    rows = loads_text(document("etc-2.1.3"))["computerStatus"]
    assert [each.subject for each in told(Method.COMPUTER_STATUS, rows)] == [
        "computer-1",
        "computer-2",
    ]
    found = told(Method.COMPUTER_STATUS, [{"id": 2}, {"id": "2"}, {}, "?", {"id": "a.b"}])
    assert [each.subject for each in found] == ["computer-2", "computer-3", "computer-a_b"]
    assert {each.raised | each.unknown for each in found} == {frozenset()}
    odd: Any
    for odd in ("x", [], None, 3):
        assert told(Method.COMPUTER_STATUS, odd) == ()


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (["3", "0"], (3, 0)),
        (["3", "NotSupport"], (3,)),
        (["3", "GetFailed"], None),
        (["3", "-1"], None),
        (["NotSupport"], None),
        ([" 3", 4], (3, 4)),
        ([], None),
    ],
)
@pytest.mark.parametrize("smoke", ["0", "1"])
def test_the_counts_of_lightning_are_told(counts: list[Any], expected: Any, smoke: str) -> None:
    """All counts that can be read are told, or none: one that is missing hides a strike."""
    rows = [{"id": f"{n}", "status": "1", "lightningCount": e} for n, e in enumerate(counts, 1)]
    found = cabinet({**sample("smoke_sensor", "isWarning", smoke), "thunderSpd": rows})
    assert found.strikes == expected


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["0", "1", "3", "NoData", "GetFailed", "NotSupport", " 1", "1.0", "", "220"]),
    st.sampled_from([0, 1, 1.0, True, None, [], ["1"], {}, "nan", "9" * 400, 10**400]),
    st.text(max_size=3),
)
PLACES = [
    (each.key, field.key)
    for each in GROUPS.values()
    for field in each.fields
    if field.key
    in {"status", "voltage", "current", "isWarning", "runningState", "warningMsg", "lightningCount"}
]


@given(
    st.lists(st.tuples(st.sampled_from(PLACES), VALUES), max_size=3),
    st.lists(st.tuples(st.sampled_from(sorted(SAMPLE)), VALUES), max_size=1),
    st.lists(st.sampled_from(sorted(SAMPLE)), max_size=1),
)
def test_reports_tell_the_same_by_both_ways(
    fields: list[tuple[tuple[str, str], Any]], groups: list[tuple[str, Any]], gone: list[str]
) -> None:
    """What is recognised group by group is what the lenient decoder reads of the whole."""
    given_ = copy.deepcopy(SAMPLE)
    for (group, key), value in fields:
        row = given_[group]
        (row[0] if isinstance(row, list) else row)[key] = value
    given_.update(groups)
    for key in gone:
        given_.pop(key, None)
    found = told(CABINET, given_)
    assert found == read_cabinets(given_)
    assert found
