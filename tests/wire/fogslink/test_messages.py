"""The messages of the Fogslink cloud: the document's own lines, ours, and everybody else's."""

import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from twisted_gantry.wire.errors import BadMessage, WireError
from twisted_gantry.wire.fogslink.messages import (
    MAX_ITEM_BYTES,
    MAX_ITEMS,
    MAX_LINE,
    Authenticate,
    Authenticated,
    BadPack,
    Configure,
    Configured,
    Heartbeat,
    HeartbeatAnswer,
    Identified,
    Identify,
    Item,
    Pack,
    PackAnswer,
    ReportType,
    Single,
    SingleAnswer,
    decode_request,
    decode_response,
    encode,
    is_channel,
    item,
    packs,
    period_of,
    read_requests,
    read_responses,
    readdressed,
    report_type_of,
)
from twisted_gantry.wire.json import dumps
from twisted_gantry.wire.reading import Quality

# Every message as the document prints it (sections one to four), beside what it means.
PRINTED_REQUESTS = {
    '{"req001":{"eqSN":"12345678","eqType":"128"}}': Identify(eq_sn="12345678"),
    '{"req002":{"eqSN":"12345678","apiKey":"1234567890123456"}}': Authenticate(
        eq_sn="12345678", api_key="1234567890123456"
    ),
    '{"req201":{"eqSN":"12345678","eChan":"P0-C1","eChanSta":"1","eVal":"2.34"}}': Single(
        eq_sn="12345678", e_chan="P0-C1", e_val="2.34"
    ),
    '{"req200":{"eqSN":"12345678","packID":"12345","totalSize":2,"eqData":[{"eChan":"P0-C1",'
    '"eChanSta":"1",eVal:"2.34"},{"eChan":"P1-C2","eVal":"2.34"}]}}': Pack(
        eq_sn="12345678",
        pack_id="12345",
        total_size=2,
        eq_data=(Item(e_chan="P0-C1", e_val="2.34"), Item(e_chan="P1-C2", e_val="2.34")),
    ),
    '{"req300":{"eqSN":"12345678","eChan":"P1-C1","code":"2"}}': Configured(
        eq_sn="12345678", e_chan="P1-C1", code="2"
    ),
    '{"req100":{"eqSN":"12345678","tKey":"asfklkiejak9848"}}': Heartbeat(
        eq_sn="12345678", t_key="asfklkiejak9848"
    ),
}
PRINTED_RESPONSES = {
    '{"res001":{"eqSN":"12345678","code":"0","tKey":"asfklkiejak9848"}}': Identified(
        eq_sn="12345678", code="0", t_key="asfklkiejak9848"
    ),
    '{"res001":{"eqSN":"12345678","code":"2"}}': Identified(eq_sn="12345678", code="2"),
    '{"res002":{"eqSN":"eqKey","code":"0"}}': Authenticated(eq_sn="eqKey", code="0"),
    '{"res002":{"eqSN":"eqKey","code":"3"}}': Authenticated(eq_sn="eqKey", code="3"),
    '{"res201":{"eqSN":"12345678","eChan":"P0-C1","code":"8"}}': SingleAnswer(
        eq_sn="12345678", e_chan="P0-C1", code="8"
    ),
    '{"res200":{"eqSN":"12345678","packID":"12345","code":"9"}}': PackAnswer(
        eq_sn="12345678", pack_id="12345", code="9"
    ),
    '{"res300":{"eqSN":"12345678","eChan":"P1-C1","sPeriod":"1","sType":"1"}}': Configure(
        eq_sn="12345678", e_chan="P1-C1", s_period="1", s_type="1"
    ),
    '{"res100":{"eqSN":"12345678","code":"0"}}': HeartbeatAnswer(eq_sn="12345678"),
}


@pytest.mark.parametrize(("line", "message"), PRINTED_REQUESTS.items())
def test_the_requests_of_the_document(line: str, message: Any) -> None:
    """Each printed request is read, slips included, and written canonically."""
    assert decode_request(line.encode()) == message
    assert decode_request(line.encode() + b"\r") == message
    if "eVal:" not in line:
        assert encode(message) == line.encode() + b"\n"


@pytest.mark.parametrize(("line", "message"), PRINTED_RESPONSES.items())
def test_the_answers_of_the_document(line: str, message: Any) -> None:
    """Each printed answer is read and written."""
    assert decode_response(line.encode()) == message
    assert encode(message) == line.encode() + b"\n"


def test_numbers_are_taken_where_text_is_promised() -> None:
    """A cloud may write its codes and periods as numbers, a device its size as text."""
    assert decode_response(b'{"res200":{"eqSN":1,"packID":7,"code":8}}') == PackAnswer(
        eq_sn="1", pack_id="7", code="8"
    )
    configure = decode_response(b'{"res300":{"eqSN":"1","eChan":"P0-C1","sPeriod":5}}')
    assert configure == Configure(eq_sn="1", e_chan="P0-C1", s_period="5")
    pack = decode_request(b'{"req200":{"eqSN":"1","packID":"1","totalSize":"0","eqData":[]}}')
    assert isinstance(pack, Pack)
    assert pack.total_size == 0


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"res001":[]}',
        b'{"req001":{"eqSN":"1"}}',
        b'{"res002":{"eqSN":"1"}}',
        b'{"res200":{"packID":"1","code":null}}',
        b'{"res200":{"packID":{"a":1},"code":"8"}}',
        b'{"res300":{"eqSN":"1","eChan":"P0-C1","sPeriod":"5","sType":nan}}',
        b"[" * 60_000,
    ],
)
def test_what_is_no_answer_is_refused(line: bytes) -> None:
    """Whatever is not one of the cloud's messages is a WireError, never anything else."""
    with pytest.raises(WireError):
        decode_response(line)


_TAKEN, _BEATEN = PackAnswer(eq_sn="1", pack_id="7", code="8"), HeartbeatAnswer(eq_sn="1")


@pytest.mark.parametrize(
    "line",
    [
        b'{"res200":{"eqSN":"1","packID":"7","code":"8"}}{"res100":{"eqSN":"1","code":"0"}}',
        b'{"res200":{"eqSN":"1","packID":"7","code":"8"}}\x00{"res100":{"eqSN":"1"}}\x00',
        b'{"res200":{"eqSN":1,"packID":7.0,"code":8.0}} \r{"res100":{"eqSN":" 1","code":0}}\r',
        b'{"res200":{"eqSN":"1","packID":"07","code":"08"}},{"res100":{"eqSN":"1","code":false}}',
        b'{"res200":{"eqSN":"1","packID":" 7 ","code":"8.0"},"res100":{"eqSN":"1","code":"00"}}',
        b'{"res200":[{"eqSN":"1","packID":"7","code":"8"}],"ts":nan,"res100":{"eqSN":"1"}}',
        b'{"res200":{"eqSN":"1","packID":"7","code":"8","x":nan}}{"res100":{"eqSN":"1","code":null}',
    ],
)
def test_several_answers_in_one_line_all_count(line: bytes) -> None:
    """Objects without a line end between them, NULs, and numbers in any spelling."""
    read = [each.message for each in read_responses(line) if not isinstance(each, WireError)]
    assert read == [_TAKEN, _BEATEN] or (line.count(b'" 1"') and len(read) == 2)


@pytest.mark.parametrize("line", [b"", b"\r", b"\x00\r\n", b" \t\x00"])
def test_an_empty_line_is_no_message(line: bytes) -> None:
    """The end of an object that was taken without it means nothing."""
    assert [*read_responses(line), *read_requests(line)] == []


def test_what_cannot_be_read_hides_no_other_message() -> None:
    """The error quotes it, without the keys in it; the others count."""
    line = b'{"res001":{"tKey":"hush";"code":"0"}}{"res100":{"eqSN":"1"}}{"res999":{}}'
    broken, beaten, foreign = read_responses(line)
    assert isinstance(broken, BadMessage)
    assert "no comma" in str(broken)
    assert "hush" not in str(broken)
    assert not isinstance(beaten, WireError)
    assert beaten.message == _BEATEN
    assert isinstance(foreign, BadMessage)
    assert "res999" in str(foreign)


@pytest.mark.parametrize(
    ("line", "items", "size"),
    [
        (b'[{"eChan":"P0-C1","eChanSta":1,"eVal":2.5},nan]', [("1", "2.5")], 2),
        (b'[{"eChan":"P0-C1","eChanSta":true,"eVal":null}]', [("1", None)], 1),
        (b'{"eChan":"P0-C1","eChanSta":"00"}', [("0", None)], 1),
        (b'[{"eChan":"P0-C1","eChanSta":null,"eVal":"\xc9\xbd\xcc\xd8"}]', [("1", "山特")], 1),
    ],
)
def test_one_odd_value_of_a_pack_costs_itself(
    line: bytes, items: list[tuple[str, str | None]], size: int
) -> None:
    """An item that cannot be read is missing, so that the pack is asked for again."""
    pack = decode_request(
        b'{"req200":{"eqSN":"1","packID":"7","totalSize":"%d.0","eqData":%s}}' % (size, line)
    )
    assert isinstance(pack, Pack)
    assert pack.total_size == size
    shown = [
        (each.e_chan_sta, None if each.e_val is UNSET else each.e_val) for each in pack.eq_data
    ]
    assert shown == items


def _damages(line: bytes) -> Iterator[bytes]:
    """Yield a line with each of its bytes removed, doubled, or replaced."""
    for at in range(len(line)):
        yield line[:at] + line[at + 1 :]
        yield line[:at] + line[at : at + 1] + line[at:]
        for other in (b"\x00", b"\r", b"9", b"x", b'"', b",", b"{", b"}", b"\xff"):
            yield line[:at] + other + line[at + 1 :]


@pytest.mark.parametrize("line", PRINTED_RESPONSES)
def test_one_odd_byte_changes_no_other_member(line: str) -> None:
    """Whichever byte of an answer is odd, every member but the one it stands in has its value or
    none, and nothing is raised.
    """
    right = msgspec.to_builtins(decode_response(line.encode()))
    for damaged in _damages(line.encode()):
        for each in read_responses(damaged):
            if isinstance(each, WireError) or type(each.message) is not type(
                PRINTED_RESPONSES[line]
            ):
                continue
            read = msgspec.to_builtins(each.message)
            given = {key for key in right if right[key] != read.get(key, right[key])}
            assert len(given & set(read)) <= 1, damaged


def test_a_malformed_pack_tells_its_number() -> None:
    """A pack that cannot be read, but for its number, can still be asked for again."""
    with pytest.raises(BadPack) as bad:
        decode_request(b'{"req200":{"eqSN":"1","packID":"77","totalSize":1,"eqData":[{}]}}')
    assert bad.value.pack_id == "77"
    with pytest.raises(BadMessage) as worse:
        decode_request(b'{"req200":{"eqSN":"1","totalSize":1,"eqData":[{}]}}')
    assert not isinstance(worse.value, BadPack)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    """Random bytes are refused in one way on both sides."""
    for decode in (decode_request, decode_response):
        with pytest.raises(WireError):
            decode(data)


def test_mutilated_messages_raise_nothing_else() -> None:
    """A printed message with a byte changed is read or refused."""
    rng = random.Random(1)
    for line in [*PRINTED_REQUESTS, *PRINTED_RESPONSES]:
        for _ in range(100):
            broken = bytearray(line.encode())
            broken[rng.randrange(len(broken))] = rng.randrange(256)
            for decode in (decode_request, decode_response):
                with suppress(WireError):
                    decode(bytes(broken))


def test_no_key_shows() -> None:
    """Neither the key of the account nor that of the session is in a `repr`."""
    shown = repr(Authenticate(eq_sn="1", api_key="hush")) + repr(Heartbeat(eq_sn="1", t_key="hush"))
    assert "hush" not in shown


# -- values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (220.0, "220"),
        (220.456, "220.46"),
        (-0.001, "0"),
        (7, "7"),
        (True, "1"),
        (False, "0"),
        ("line", "line"),
        ("", ""),
        ("x" * 500, "x" * 100),
        ("\ud800", "?"),
    ],
)
def test_a_good_value_is_shown(value: Any, text: str) -> None:
    """Numbers with two decimals at most, truth as 1 or 0, text as it is, all within bounds."""
    assert item("P0-C1", value, Quality.GOOD) == Item(e_chan="P0-C1", e_val=text)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), 1e300, 10**400])
def test_what_cannot_be_shown_is_abnormal(value: Any) -> None:
    """No text stands for what is no value."""
    assert item("P0-C1", value, Quality.GOOD) == Item(e_chan="P0-C1", e_chan_sta="0")


@pytest.mark.parametrize("quality", [q for q in Quality if q is not Quality.GOOD])
def test_every_other_quality_is_abnormal_without_a_value(quality: Quality) -> None:
    """An old value is not shown as if it held."""
    abnormal = item("P0-C1", 220.0, quality)
    assert dumps(abnormal) == b'{"eChan":"P0-C1","eChanSta":"0"}'


@given(st.lists(st.text(max_size=100), max_size=450))
def test_packs_keep_their_bounds(texts: list[str]) -> None:
    """Every item is in one pack, in order; no pack passes 200 items or the longest line."""
    items = [item(f"P0-C{at}", text, Quality.GOOD) for at, text in enumerate(texts)]
    divided = list(packs(items))
    assert [each for pack in divided for each in pack] == items
    for pack in divided:
        assert 0 < len(pack) <= MAX_ITEMS
        message = Pack(eq_sn="s" * 64, pack_id="9" * 20, total_size=len(pack), eq_data=pack)
        assert len(encode(message)) < MAX_LINE


def test_a_pack_of_long_texts_is_cut_by_its_bytes() -> None:
    """Two hundred values of control characters would be longer than a line may be."""
    items = [item(f"P0-C{at}", "\x01" * 100, Quality.GOOD) for at in range(200)]
    divided = list(packs(items))
    assert len(divided) > 1
    assert all(len(dumps(pack)) <= MAX_ITEM_BYTES + 2 for pack in divided)


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("1", 1.0),
        ("86400", 86_400.0),
        (" 5 ", 5.0),
        ("2.5", 2.5),
        ("0", None),
        ("0.5", None),
        ("86400.5", None),
        ("1e3", None),
        ("٣", None),
        ("", None),
        ("9" * 5000, None),
    ],
)
def test_a_period_is_seconds_within_bounds(text: str, period: float | None) -> None:
    """`sPeriod` is 1 to 86,400 seconds."""
    assert period_of(text) == period


def test_a_report_type_is_one_of_two() -> None:
    """`sType` 0 is on change, 1 is every period."""
    assert report_type_of("0") is ReportType.ON_CHANGE
    assert report_type_of(" 1") is ReportType.EVERY_PERIOD
    assert report_type_of("2") is None


@pytest.mark.parametrize("name", ["P0-C1", "P12345-C99999"])
def test_a_channel_is_named_by_group_and_member(name: str) -> None:
    """`Px-Cy`."""
    assert is_channel(name)


@pytest.mark.parametrize("name", ["", "P0", "p0-c1", "P0-C1 ", "P٣-C1", "P0-C1234567", "P0-C1\n"])
def test_other_names_are_no_channels(name: str) -> None:
    """Anything else."""
    assert not is_channel(name)


def test_a_line_gets_another_serial_number() -> None:
    """Our own line under another `eqSN` is else the same; under its own it is untouched."""
    pack = Pack(eq_sn="1", pack_id="7", total_size=1, eq_data=(Item(e_chan="P0-C1"),))
    for message in (pack, Single(eq_sn="1", e_chan="P0-C1", e_val="2")):
        line = encode(message).removesuffix(b"\n")
        assert readdressed(line, "1") is line
        other = decode_request(readdressed(line, "12"))
        assert other == msgspec.structs.replace(message, eq_sn="12")
