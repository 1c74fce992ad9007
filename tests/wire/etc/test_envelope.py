"""The ETC gantry interface: envelope, digest, codes, written values."""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.wire.material import (
    NASTY,
    SECRET,
    checked,
    document,
    json_with,
    likely_bytes,
    outcome,
    some_texts,
    texts,
)
from twisted_gantry.wire.errors import CannotEncode
from twisted_gantry.wire.etc.envelope import (
    AUTH_HEADER,
    FIELDS_KEY,
    MD5_HEADER,
    MESSAGES,
    MONITOR,
    SENTINELS,
    TEST_AUTH,
    VERSION,
    EtcCode,
    EtcRefused,
    Method,
    Request,
    Sentinel,
    answer,
    check_request,
    digest,
    encode_request,
    flag,
    is_list_version,
    local_time,
    number,
    percent,
    restamped,
    same_id,
    signed_headers,
)
from twisted_gantry.wire.reading import Quality

_GANTRY = "G000211001002110010"
_NOW = 1564734526  # the time of the document's examples
_CHINA = timezone(timedelta(hours=8))


def checked_request(
    body: bytes,
    *,
    headers: dict[str, str] | None = None,
    now: float = _NOW,
    gantry_id: str | None = _GANTRY,
) -> Request:
    """Check a body as its receiver does, with the headers that belong to it unless given."""
    own = {name.lower(): value for name, value in signed_headers(body, TEST_AUTH).items()}
    return check_request(
        body,
        own if headers is None else headers,
        auth=TEST_AUTH,
        methods=MONITOR,
        gantry_id=gantry_id,
        now=now,
        skew=300,
    )


def refusal(call: Callable[[], object]) -> EtcCode:
    with pytest.raises(EtcRefused) as caught:
        call()
    assert str(caught.value) == f"{caught.value.code.value}: {caught.value.why}"
    return caught.value.code


def body_with(**changes: Any) -> bytes:
    """Return a good request, with these envelope fields changed, or left out when None."""
    fields = {
        "gantryId": _GANTRY,
        "method": "queryAndGetCardInfo",
        "timeStamp": str(_NOW),
        "version": "1001",
        "data": {"curVersion": "0"},
        **changes,
    }
    given_fields = {key: value for key, value in fields.items() if value is not None}
    return json.dumps(given_fields, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("name", "method", "key"),
    [
        ("etc-2.1.3", Method.COMPUTER_STATUS, "computerStatus"),
        ("etc-3.1.3", Method.CABINET_STATUS, "cabinetStatus"),
    ],
)
def test_the_sample_reports(name: str, method: Method, key: str) -> None:
    """The document's reports, byte for byte, pass the check at the time they bear."""
    body = document(name)
    request = checked_request(body)
    assert (request.gantry_id, request.method, request.time_stamp) == (_GANTRY, method, _NOW)
    printed = json.loads(body)[key]
    if method is Method.COMPUTER_STATUS:
        assert request.fields == printed
    else:
        printed["thunderSpd"] = [{"id": "1", "status": "1", "lightningCount": "1"}]
        del printed[" thunderSpd"]
        assert request.fields == printed


def test_the_sample_card_request() -> None:
    """The request of 4.1.3 passes but for Word's bookmark; its spaces around keys are no matter."""
    printed = document("etc-4.1.3")
    assert refusal(lambda: checked_request(printed)) is EtcCode.BAD_PARAMETERS
    body = printed.replace(b"[bookmark: _GoBack]", b"")
    assert len(printed) - len(body) == len("[bookmark: _GoBack]")
    request = checked_request(body)
    assert request == Request(_GANTRY, Method.CARDS, _NOW, {"curVersion": "20191129134255"})


def test_the_words_of_the_document() -> None:
    """Version, headers, sentinels and the codes with their words are those of the document."""
    assert (VERSION, TEST_AUTH) == ("1001", "123456")
    assert (MD5_HEADER, AUTH_HEADER) == ("binfile-md5", "binfile-auth")
    assert {code.value: words for code, words in MESSAGES.items()} == {
        1000: "成功",
        1001: "无权使用该接口",
        1002: "参数有误",
        1003: "系统时间偏差太大",
        1004: "无效的签名",
        1005: "请求过于频繁",
        1006: "未知的接口版本号",
        1007: "执行控制命令失败",
        1008: "未知系统异常",
        1009: "无对应图像/视频",
    }
    assert all(len(words) <= 40 for words in MESSAGES.values())
    assert {quality: sentinel.value for quality, sentinel in SENTINELS.items()} == {
        Quality.NO_DATA: "NoData",
        Quality.GET_FAILED: "GetFailed",
        Quality.NOT_SUPPORTED: "NotSupport",
    }


def test_a_digest_is_of_the_bytes_as_sent() -> None:
    """The digest is MD5 in lower-case hexadecimal of the very bytes."""
    assert digest(b"") == "d41d8cd98f00b204e9800998ecf8427e"
    assert digest(b"abc") == "900150983cd24fb0d6963f7d28e17f72"
    assert signed_headers(b"abc", "secret") == {
        "Content-Type": "application/json",
        "binfile-md5": "900150983cd24fb0d6963f7d28e17f72",
        "binfile-auth": "secret",
    }


def test_a_request_is_sent_canonically() -> None:
    """A request has exact keys, no stray spaces, whole seconds as text, and UTF-8."""
    body = encode_request(_GANTRY, Method.CARDS, _NOW + 0.9, {"curVersion": "0", "名": "值"})
    assert body.decode() == (
        '{"gantryId":"G000211001002110010","method":"queryAndGetCardInfo",'
        '"timeStamp":"1564734526","version":"1001","data":{"curVersion":"0","名":"值"}}'
    )


@given(
    some_texts.filter(str.strip),
    st.sampled_from(sorted(MONITOR)),
    st.integers(0, 10**12 - 1),
    st.recursive(texts, lambda i: st.lists(i) | st.dictionaries(texts.map(str.strip), i)),
)
@checked
def test_a_request_is_read_as_it_was_sent(
    gantry_id: str, method: Method, time_stamp: int, fields: Any
) -> None:
    """Checking undoes encoding of a request."""
    body = encode_request(gantry_id, method, time_stamp, fields)
    request = checked_request(body, now=time_stamp, gantry_id=gantry_id)
    assert request == Request(same_id(gantry_id) or "", method, time_stamp, fields)


def test_a_restamped_request_differs_in_its_time_alone() -> None:
    """Restamping changes `timeStamp` and nothing else, the order of the keys included."""
    body = encode_request(_GANTRY, Method.CARDS, _NOW, {"a": ["成", {"b": ""}]})
    later = encode_request(_GANTRY, Method.CARDS, _NOW + 3600, {"a": ["成", {"b": ""}]})
    assert restamped(body, _NOW + 3600.5) == later


def test_what_cannot_be_sent_is_our_mistake() -> None:
    """A lone surrogate in what we send is CannotEncode."""
    with pytest.raises(CannotEncode):
        encode_request(_GANTRY, Method.CARDS, _NOW, {"a": "\ud800"})
    with pytest.raises(CannotEncode):
        answer(EtcCode.SUCCESS, msg="\ud800").encode()


@pytest.mark.parametrize(
    "auth", [None, "", "12345", "1234567", "１２３４５６", "\udcff", "123456 ", " 123456"]
)
def test_a_wrong_auth_is_not_allowed(auth: str | None) -> None:
    """A missing or other authentication code is 1001, whatever its characters."""
    body = body_with()
    headers = {MD5_HEADER: digest(body)} | ({} if auth is None else {AUTH_HEADER: auth})
    assert refusal(lambda: checked_request(body, headers=headers)) is EtcCode.NOT_ALLOWED


@pytest.mark.parametrize("given_digest", [None, "", digest(b"other"), "é", "\udcff", "0" * 128])
def test_a_wrong_digest_is_an_invalid_signature(given_digest: str | None) -> None:
    """A missing or other digest is 1004, whatever its characters."""
    headers = {AUTH_HEADER: TEST_AUTH}
    if given_digest is not None:
        headers[MD5_HEADER] = given_digest
    assert (
        refusal(lambda: checked_request(body_with(), headers=headers)) is EtcCode.INVALID_SIGNATURE
    )


def test_a_digest_may_be_in_upper_case() -> None:
    """The digest is taken in either case and with white space around it."""
    body = body_with()
    headers = {AUTH_HEADER: TEST_AUTH, MD5_HEADER: f" {digest(body).upper()} "}
    assert checked_request(body, headers=headers).method is Method.CARDS


_BAD_FIELDS: dict[str, tuple[Any, ...]] = {
    "version": (None, ["1001"]),
    "gantryId": (None, "G000211001002110011", {}),
    "method": (None, "computerstatusupdate", "x" * 10_000, True),
    "timeStamp": (None, "", "now", "-1", 1564734526.5, "1" * 5000),
    "data": (None,),
}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": "1000"}, EtcCode.UNKNOWN_VERSION),
        ({"version": ""}, EtcCode.UNKNOWN_VERSION),
        *(({k: v}, EtcCode.BAD_PARAMETERS) for k, values in _BAD_FIELDS.items() for v in values),
        ({"timeStamp": "１５６４７３４５２６"}, EtcCode.BAD_PARAMETERS),
        ({"timeStamp": str(_NOW - 301)}, EtcCode.CLOCK_SKEW),
        ({"timeStamp": str(_NOW + 301)}, EtcCode.CLOCK_SKEW),
        ({"timeStamp": "0"}, EtcCode.CLOCK_SKEW),
        ({"timeStamp": "9" * 12}, EtcCode.CLOCK_SKEW),
    ],
)
def test_each_fault_has_its_code(changes: dict[str, Any], code: EtcCode) -> None:
    """Each fault of an envelope is refused with the code that the page gives it."""
    assert refusal(lambda: checked_request(body_with(**changes))) is code


@pytest.mark.parametrize("off", [-300, 0, 300])
def test_a_clock_may_be_off_by_the_skew(off: int) -> None:
    """A time stamp that is off by no more than the skew passes."""
    assert checked_request(body_with(timeStamp=str(_NOW + off))).time_stamp == _NOW + off


def test_numbers_and_spaces_are_taken() -> None:
    """A number where text is promised, and spaces around keys, are taken."""
    body = json.dumps(
        {
            " gantryId ": 12,
            " method": "queryAndGetCardInfo",
            "timeStamp ": _NOW,
            "version": 1001,
            " data": {" curVersion ": 20191129134255},
        }
    ).encode()
    request = checked_request(body, gantry_id="12")
    assert request == Request("12", Method.CARDS, _NOW, {"curVersion": "20191129134255"})


def test_any_gantry_may_be_taken() -> None:
    """Without a gantry of its own, a receiver takes any."""
    assert checked_request(body_with(gantryId="other"), gantry_id=None).gantry_id == "other"


def test_the_order_of_the_checks() -> None:
    """Of several faults the first in the order 1001, 1004, JSON, 1006, fields, 1003 is told."""
    faults: list[tuple[EtcCode, Callable[[dict[str, str], dict[str, Any]], None]]] = [
        (EtcCode.NOT_ALLOWED, lambda headers, _: headers.update({AUTH_HEADER: "no"})),
        (EtcCode.INVALID_SIGNATURE, lambda headers, _: headers.update({MD5_HEADER: "no"})),
        (EtcCode.UNKNOWN_VERSION, lambda _, fields: fields.update(version="0")),
        (EtcCode.BAD_PARAMETERS, lambda _, fields: fields.update(method="?")),
        (EtcCode.CLOCK_SKEW, lambda _, fields: fields.update(timeStamp="0")),
    ]
    for first in range(len(faults)):
        fields: dict[str, Any] = {}
        for _, spoil in faults[first:]:
            spoil({AUTH_HEADER: "", MD5_HEADER: ""}, fields)
        body = body_with(**fields)
        headers = {AUTH_HEADER: TEST_AUTH, MD5_HEADER: digest(body)}
        for _, spoil in faults[first:]:
            spoil(headers, {})
        assert refusal(lambda h=headers, b=body: checked_request(b, headers=h)) is faults[first][0]  # type: ignore[misc]
    broken = body_with()[:-1]
    assert refusal(lambda: checked_request(broken)) is EtcCode.BAD_PARAMETERS
    assert refusal(lambda: checked_request(broken, headers={})) is EtcCode.NOT_ALLOWED


def test_a_refusal_does_not_hold_the_code() -> None:
    """The text of a refusal shows neither the right authentication code nor the given one."""
    body = body_with()
    for given_auth in (SECRET + "!", ""):
        with pytest.raises(EtcRefused) as caught:
            check_request(
                body,
                {AUTH_HEADER: given_auth, MD5_HEADER: digest(body)},
                auth=SECRET,
                methods=MONITOR,
                gantry_id=None,
                now=_NOW,
                skew=300,
            )
        assert "hunter2" not in str(caught.value) + repr(caught.value) + caught.value.why


@pytest.mark.parametrize("name", NASTY)
def test_nasty_requests(name: str) -> None:
    """Nasty bytes that are signed rightly are refused, with 1002 or 1006, and nothing else."""
    code = refusal(lambda: checked_request(NASTY[name]))
    assert code in {EtcCode.BAD_PARAMETERS, EtcCode.UNKNOWN_VERSION}


@given(likely_bytes, st.dictionaries(st.sampled_from([AUTH_HEADER, MD5_HEADER]), texts))
@checked
def test_any_request_bytes(body: bytes, headers: dict[str, str]) -> None:
    """No bytes and no headers raise anything but EtcRefused."""
    for given_headers in (headers, None):
        refusal(lambda h=given_headers: checked_request(body, headers=h))  # type: ignore[misc]


@given(json_with("gantryId", "method", "timeStamp", "version", "data"), st.data())
@checked
def test_any_request_fields(fields: Any, data: st.DataObject) -> None:
    """Any JSON in any of the envelope's fields is a request or is refused."""
    key = data.draw(st.sampled_from(["gantryId", "method", "timeStamp", "version", "data"]))
    body = outcome(lambda: body_with(**{key: fields}), ValueError)
    assume(isinstance(body, bytes))
    assert isinstance(body, bytes)
    got = outcome(lambda: checked_request(body, gantry_id=None), EtcRefused)
    assert isinstance(got, Request | EtcRefused)


def test_an_answer_is_sent_canonically() -> None:
    """An answer has a code and a msg, and data only where it has some."""
    assert answer(EtcCode.SUCCESS).encode().decode() == '{"code":"1000","msg":"成功"}'
    assert answer(EtcCode.SUCCESS, {}).encode().decode() == '{"code":"1000","msg":"成功","data":{}}'


@pytest.mark.parametrize(
    ("version", "good"),
    [
        ("20191129134255", True),
        ("0", False),
        ("", False),
        ("2019112913425a", False),
        ("20191129134255\n", False),
        ("２０１９１１２９１３４２５５", False),
    ],
)
def test_a_list_version_is_fourteen_digits(version: str, good: bool) -> None:
    """The version of a list is `yyyyMMddHHmmss` and nothing else."""
    assert is_list_version(version) is good


@pytest.mark.parametrize(
    ("value", "plain", "two"),
    [
        (0, "0", "0.00"),
        (-0.0, "0", "0.00"),
        (-0.001, "0", "0.00"),
        (220, "220", "220.00"),
        (100.0, "100", "100.00"),
        (99.99, "99.99", "99.99"),
        (99.999, "100", "100.00"),
        (0.1 + 0.2, "0.3", "0.30"),
        (-12.5, "-12.5", "-12.50"),
        (8388608, "8388608", "8388608.00"),
        (1e15, "1000000000000000", "1000000000000000.00"),
    ],
)
def test_numbers_are_written_plainly(value: float, plain: str, two: str) -> None:
    """Numbers have at most two decimals, percentages exactly two; there is no minus zero."""
    assert number(value) == plain
    assert percent(value) == two


@given(st.floats(-1e12, 1e12))
@checked
def test_written_numbers_are_near(value: float) -> None:
    """What is written is within half a hundredth of the value, and never in exponents."""
    for text in (number(value), percent(value)):
        assert re.fullmatch(r"-?[0-9]+(\.[0-9]{1,2})?", text)
        assert not re.fullmatch(r"-0(\.0+)?", text)
        assert math.isclose(float(text), value, rel_tol=1e-12, abs_tol=0.0051)


def test_truths_are_written_as_digits() -> None:
    """True is 1 and false is 0."""
    assert [flag(value) for value in (True, 1, "x")] == ["1"] * 3
    assert [flag(value) for value in (False, 0, None, "")] == ["0"] * 4


def test_times_are_written_in_the_zone_of_the_gantry() -> None:
    """Times have milliseconds, 24 hours, and the zone that is asked for."""
    moment = datetime(2019, 8, 28, 6, 11, 1, 321_000, UTC).timestamp()
    assert local_time(moment, _CHINA) == "2019-08-28 14:11:01.321"
    assert local_time(moment, UTC) == "2019-08-28 06:11:01.321"
    assert local_time(1567008721, _CHINA) == "2019-08-29 00:12:01.000"


@given(st.integers(0, 4_000_000_000_000))
@checked
def test_times_keep_their_milliseconds(milliseconds: int) -> None:
    """A time is written to the very millisecond, for all that a float may do to it."""
    text = local_time(milliseconds / 1000, UTC)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", text)
    read = datetime.strptime(text + "+0000", "%Y-%m-%d %H:%M:%S.%f%z")
    assert (read - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) == milliseconds


def test_each_method_has_its_own_key() -> None:
    """The fields of a call stand under the key that the document gives it."""
    assert {method.value: key for method, key in FIELDS_KEY.items()} == {
        "computerStatusUpdate": "computerStatus",
        "cabinetStatusUpdate": "cabinetStatus",
        "queryAndGetCardInfo": "data",
        "computerControl": "computerControl",
        "cabinetControl": "cabinetControl",
        "getCabinetImageVedio": "getCabinetImageVedio",
    }
    assert {sentinel.value for sentinel in Sentinel} == {"NoData", "GetFailed", "NotSupport"}
