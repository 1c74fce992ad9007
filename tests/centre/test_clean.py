"""Clean reports: what the fast path takes, the general one reads alike."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_gantry.centre.clean import read_clean
from twisted_gantry.centre.reading import read_cabinets
from twisted_gantry.wire.etc.envelope import MONITOR, Method, check_body, encode_request
from twisted_gantry.wire.etc.reports import Cabinet
from twisted_gantry.wire.etc.uploads import GROUPS

GANTRY = "G000211001002110010"
_GOOD = {"isWarning": "0", "warningMsg": "", "errorMsg": "", "runningState": "1"}
_GOOD |= {"frontDoorOpenIllegally": "0", "backDoorOpenIllegally": "0", "voltage": "220.5"}


def cabinet() -> dict[str, Any]:
    """Return a `cabinetStatus` without any fault."""
    fields: dict[str, Any] = {"id": "1"}
    for shape in GROUPS.values():
        row = {each.key: _GOOD.get(each.key, "1") for each in shape.fields}
        fields[shape.key] = [{"id": "1", **row}, {"id": "2", **row}] if shape.is_array else row
    return fields


def encoded(fields: Any) -> bytes:
    return encode_request(GANTRY, Method.CABINET_STATUS, 1_700_000_000, fields)


def test_a_clean_report() -> None:
    """It tells that nothing is wrong, with the envelope's id and time."""
    report = read_clean(encoded(cabinet()))
    assert report is not None
    assert (report.gantry_id, report.time_stamp) == (GANTRY, 1_700_000_000.0)
    [told] = report.told
    assert (told.subject, told.raised, told.unknown) == ("cabinet-1", frozenset(), frozenset())
    assert report.told == read_cabinets(cabinet())
    assert set(cabinet()) == set(Cabinet.__struct_encode_fields__)


@pytest.mark.parametrize("missing", ["thunderSpd", "ups"])
def test_a_clean_report_of_less(missing: str) -> None:
    """Without arresters, which old cabinets do not tell, or with an empty group."""
    fields = cabinet()
    if missing == "ups":
        fields["ups"] = []
    else:
        del fields[missing]
    report = read_clean(encoded(fields))
    assert report is not None
    assert report.told == read_cabinets(fields)


_TEXTS = ["0", "1", "2", "3", "", " 1", "NoData", "GetFailed", "NotSupport", "nan", "-5", "alarm"]
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [*_TEXTS, "1e999", 0, 1, None, True, 1.5, [], {}, ["1"], [{"id": "1"}]]
)


@st.composite
def spoilt(draw: st.DrawFn) -> dict[str, Any]:
    """A report with some fields changed, missing or new."""
    fields = copy.deepcopy(cabinet())
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from([shape.key for shape in GROUPS.values()]))
        group = fields.get(key)
        rows = group if isinstance(group, list) and group else [group]
        row = rows[draw(st.integers(0, len(rows) - 1))]
        if not isinstance(row, dict) or draw(st.integers(0, 9)) == 0:
            fields[key] = draw(ODD)
            continue
        name = draw(st.sampled_from([*row, "other", " status"]))
        if draw(st.booleans()):
            row[name] = draw(ODD)
        else:
            row.pop(name, None)
    return fields


@given(spoilt())
def test_what_is_taken_is_read_alike(fields: dict[str, Any]) -> None:
    """No fault is lost: a report that the fast path takes tells the same on the general one."""
    report = read_clean(encoded(fields))
    if report is not None:
        assert report.told == read_cabinets(fields)


@given(st.data())
def test_a_key_that_comes_twice_is_never_clean(data: st.DataObject) -> None:
    """Wherever a key stands twice, the report is looked at."""
    text = encoded(cabinet()).decode()
    places = [at for at in range(len(text)) if text.startswith('":"', at)]
    end = text.index('"', data.draw(st.sampled_from(places)) + 3) + 1
    start = max(text.rfind("{", 0, end), text.rfind(',"', 0, end)) + 1
    assert read_clean((text[:end] + "," + text[start:]).encode()) is None


@given(st.binary(max_size=60) | st.builds(lambda x: json.dumps(x).encode(), st.text(max_size=20)))
def test_any_bytes(body: bytes) -> None:
    """Nothing that comes raises."""
    assert read_clean(body) is None
    whole = encoded(cabinet())
    cut = len(body) * 7 % len(whole)
    read_clean(whole[:cut] + body + whole[cut:])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"1001"', b'"1002"'),
        (b'"1700000000"', b'"1700000000.5"'),
        (b'"1700000000"', '"\u0661"'.encode()),
        (b"cabinetStatusUpdate", b"computerStatusUpdate"),
        (b'"id":"1","elec"', b'"id":"01","elec"'),
        (b'"220.5"', b'"12.5"'),
        (b'"220.5"', b'"nan"'),
        (b'"gantryId"', b'"gantryId "'),
        (b'"gantryId"', b'"x":"y","gantryId"'),
        (GANTRY.encode(), b"G\\u0030"),
    ],
)
def test_what_must_be_looked_at(old: bytes, new: bytes) -> None:
    """Whatever is not the plain case has the general path."""
    body = encoded(cabinet())
    assert old in body
    assert read_clean(body.replace(old, new, 1)) is None


def test_the_envelope_is_that_of_the_general_path() -> None:
    """Both paths find the same gantry and time in the same bytes."""
    body = encoded(cabinet())
    request = check_body(body, methods=MONITOR, gantry_id=None, reports=True)
    report = read_clean(body)
    assert report is not None
    assert (report.gantry_id, report.time_stamp) == (request.gantry_id, request.time_stamp)
