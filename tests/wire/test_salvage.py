"""The tolerant parser: one odd byte costs one value, never another member's."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.material import SECRET, checked, likely_bytes, outcome
from twisted_gantry.wire.errors import NotJson, TooLarge
from twisted_gantry.wire.json import Limits, dumps, loads, salvage, salvage_text
from twisted_gantry.wire.salvage import parse

# Damage, what is read of it, and the places of the repairs.
DAMAGED: list[tuple[bytes, Any, list[str]]] = [
    (b'{"a":nan,"b":1}', {"a": None, "b": 1}, ["a"]),
    (b'{"a":-inf,"b":1}', {"a": None, "b": 1}, ["a"]),
    (b'{"a":1.#QNAN,"b":1}', {"a": None, "b": 1}, ["a"]),
    (b'{"a":-nan(ind),"b":1}', {"a": None, "b": 1}, ["a"]),
    (b'{"a":1e999,"b":1}', {"a": None, "b": 1}, ["a"]),
    (b'{"a":025,"b":1}', {"a": None, "b": 1}, ["a"]),
    (b'{"a":--1,"b":1}', {"a": None, "b": 1}, ["a"]),
    (b'{"a":1 5,"b":1}', {"a": None, "b": 1}, ["a"]),
    (b'{"a":,"b":1}', {"a": None, "b": 1}, ["a"]),
    (b'{"b":1,"a":}', {"a": None, "b": 1}, ["a"]),
    (b'{"a":True,"b":None,"c":FALSE}', {"a": True, "b": None, "c": False}, ["a", "b", "c"]),
    (b'{"a":"x" "b":"y""c":[1]"d":1}', {"a": "x", "b": "y", "c": [1], "d": 1}, list("abc")),
    (b'{"a":1 "b":2}', {"a": 1, "b": 2}, ["a"]),
    (b'{"a":13"b":2}', {"a": None, "b": 2}, ["a"]),  # the comma may have become the 3
    (b'[{"a":1} {"a":2}]', [{"a": 1}, {"a": 2}], ["the message"]),
    (b'{"a":2026-11-30 09:00:00.5,"b":1}', {"a": None, "b": 1}, ["a"]),
    (b'{"a":"a 19" rack","b":1}', {"a": 'a 19" rack', "b": 1}, ["a"]),
    (b'{"a":"the "old" one","b":1}', {"a": 'the "old" one', "b": 1}, ["a"]),
    (b'{"b":1,"a":"x"\xcc\xd8\n"}', {"a": 'x"特 ', "b": 1}, ["a"]),
    (b'{"a":"x"","b":1}', {"a": 'x"', "b": 1}, ["a"]),
    (b'{"a":"x"y","a":"x"}', {"a": None}, ["a", "a"]),
    (b'{"a":21,5,"b":1}', {"a": None, "b": 1}, ["the message"]),
    (b'{"b":1,"a":21,5}', {"a": None, "b": 1}, ["the message"]),
    (b'{"x":{"a":[1,,nan,3]}}', {"x": {"a": [1, None, None, 3]}}, ["x.a[1]", "x.a[2]"]),
    (b'{"a":1}\x00', {"a": 1}, ["the message"]),
    (b'{"a":1}\x00\r\n', {"a": 1}, ["the message"]),
    (b'{"a":1}}', {"a": 1}, ["the message"]),
    (b'{"a":1}{"a":2}', {"a": 1}, ["the message"]),
    (b'\x00{"a":\x001}', {"a": 1}, ["the message", "a"]),
    (b'{"a":"x\ny\x00"}', {"a": "x y "}, ["a"]),
    (b'{"a\x00":1}', {"a": 1}, ["the message"]),
    ('{"a":"成功"}'.encode("gbk"), {"a": "成功"}, ["a"]),
    ('{"a":"誠","b":"許功蓋"}'.encode("gb18030"), {"a": "誠", "b": "許功蓋"}, ["a", "b"]),
    (
        '{"a":"成功","b":"'.encode() + "山特".encode("gbk") + b'"}',
        {"a": "成功", "b": "山特"},
        ["b"],
    ),
    (b'{"a":"Gar\xe4"}', {"a": "Gar"}, ["a"]),
    (b'{"a":"\xff\xe4ge"}', {"a": "ÿäge"}, ["a"]),
    ('{"a":"成功'.encode()[:-1] + b'"}', {"a": "成"}, ["a"]),
    ('{"a":"许继'.encode("gbk")[:-1] + b'","b":1}', {"a": "许", "b": 1}, ["a"]),
    (b'{"a":"\\q","b":1}', {"a": None, "b": 1}, ["a"]),
    (b'{"a":"\\ud800","b":1}', {"a": None, "b": 1}, ["a"]),
    (b'{"a":1,"a":2,"a":1,"b":1}', {"a": None, "b": 1}, ["a"]),
    (b'{"a":1," a":"2","b":1}', {"a": None, "b": 1}, ["a"]),
    (b'{"a":nan,"a":1}', {"a": None}, ["a", "a"]),
    (b'{"a":{"b":1},"a":{"b":2}}', {"a": None}, ["a"]),
    (b'{"code":"1000","msg":"x"', {"code": "1000", "msg": "x"}, ["the message"]),
    (b'{"code":"1000","msg":"x', {"code": "1000"}, ["msg"]),
    (b'{"code":"1000","ms', {"code": "1000"}, ["the message"]),
    (b'{"code":"1000","data":{"a":[1,2', {"code": "1000", "data": {"a": [1]}}, ["data.a[1]"]),
    (b'{"a":"1","b":12', {"a": "1"}, ["b"]),
]


@pytest.mark.parametrize(("data", "value", "places"), DAMAGED)
def test_what_is_read_of_a_damaged_message(data: bytes, value: Any, places: list[str]) -> None:
    """What can be read is read; each repair is named; a command of the same bytes is refused."""
    salvaged = salvage(data)
    assert salvaged.value == value
    assert [each.split(": ")[0] for each in salvaged.repairs] == places
    with pytest.raises(NotJson):
        loads(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>502</html>",
        b'"a":1}',
        b'{"a" 1}',
        b"{a:1 b:2}",
        b'{"a":"x"#"b":"y","c":1}',
        b'{"a":1 "b",2}',
        b'{"a":1 {"b":2}}',
        b'{"a","b":1}',
        b'{"a":[1,"b":2]}',
        b'{"a":{"b":1],"c":1}',
        b'{"a":"x",5,"b":1}',
    ],
)
def test_a_damaged_structure_is_refused(data: bytes) -> None:
    """Where a member could be taken for another one, the message is refused."""
    with pytest.raises(NotJson):
        salvage(data)


def test_limits() -> None:
    """Bytes, values and nesting are bounded in the strict decoder and in the tolerant parser."""
    bounds = Limits(size=60, nodes=5, depth=3)
    assert salvage(b'{"a":[1,2,{}]}', bounds).value == {"a": [1, 2, {}]}
    for tail in (b"", b"\x00"):
        for data in (
            b'{"a":"' + b"x" * 60 + b'"}' + tail,
            b"[[],[],[],[],[],[]]" + tail,
            b'{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1}' + tail,
            b'{"a":[[[]]]}' + tail,
        ):
            for read in (loads, salvage):
                with pytest.raises(TooLarge):
                    read(data, bounds)


def test_long_messages_are_not_repaired() -> None:
    """The tolerant parser is slow, so it refuses what the strict decoder may take."""
    long = b'{"a":"' + b"x" * 300_000 + b'"}'
    assert salvage(long).repairs == ()
    with pytest.raises(NotJson, match="too long to be repaired"):
        salvage(long + b"\x00")


def test_repairs_are_bounded_and_hold_no_content() -> None:
    """At most nine repairs are described, by place and kind alone."""
    data = b'{"pass":"%s\xff",' % SECRET.encode() + b'"b":nan%s,' % SECRET.encode() * 20 + b"}"
    repairs = salvage(data).repairs
    assert (len(repairs), repairs[-1]) == (9, "and more")
    assert SECRET not in repr(repairs)


def test_salvaged_numbers_become_text() -> None:
    """Whole doubles become whole numbers; what has no text is None."""
    data = b'{"a":1.0,"b":[2.5,nan],"c":true,"d":%s}' % (b"1" * 5000)
    expected = {"a": "1", "b": ["2.5", None], "c": True, "d": None}
    assert salvage_text(data).value == expected


_messages = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-1000, 10**6)
        | st.floats(allow_nan=False, allow_infinity=False, width=32)
        | st.text("01.xyz 山特é\\\"'/{}[],:\n", max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text("ijklmnop", min_size=1, max_size=3), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    min_size=1,
    max_size=4,
)


@given(_messages)
@checked
def test_the_tolerant_parser_reads_json_as_the_strict_decoder(message: dict[str, Any]) -> None:
    """Strict JSON needs no repair and means the same to both."""
    data = dumps(message)
    assert parse(data, Limits()) == (loads(data), ())


@given(likely_bytes)
@checked
def test_any_bytes_are_read_or_notjson(data: bytes) -> None:
    """No bytes raise anything but NotJson."""
    outcome(lambda: salvage(data), NotJson)
    outcome(lambda: salvage_text(data), NotJson)


def leaves(node: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield every value that is no container, with its place."""
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, (*place, key))
    else:
        yield place, node


@given(_messages, st.data())
@checked
def test_one_odd_byte_costs_one_value(message: dict[str, Any], data: st.DataObject) -> None:
    """One byte replaced, removed or doubled changes at most one value, or costs the message; where
    it hits the structure, values are lost but none is taken for another one.
    """
    sent = dumps(message)
    at = data.draw(st.integers(0, len(sent) - 1))
    damage = data.draw(st.sampled_from(["replaced", "removed", "doubled"]))
    instead = {
        "replaced": bytes([data.draw(st.integers(0, 255))]),
        "removed": b"",
        "doubled": sent[at : at + 1] * 2,
    }[damage]
    result = outcome(lambda: salvage(sent[:at] + instead + sent[at + 1 :]), NotJson)
    if isinstance(result, Exception):
        return
    before, after = dict(leaves(message)), dict(leaves(result.value))
    changed = [place for place, value in before.items() if after.get(place) not in (None, value)]
    assert len(changed) <= 1, (sent, at, instead, result)
