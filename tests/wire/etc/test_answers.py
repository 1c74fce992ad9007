"""Answers: a code that can be read counts, whatever else the answer holds."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.material import NASTY, checked, json_with, likely_bytes, outcome, texts
from twisted_gantry.wire.errors import BadMessage, NotJson
from twisted_gantry.wire.etc.answers import LONGEST, NoCode, decode_answer
from twisted_gantry.wire.etc.envelope import Answer, EtcCode

_GBK = bytes.fromhex("7b22636f6465223a2231303030222c226d7367223a22b3c9b9a6227d")
_OK = '{"code":"1000","msg":"成功"}'.encode()


@pytest.mark.parametrize(
    "body",
    [
        _OK,
        _GBK,
        _OK[:26],  # a Content-Length that counts letters
        _OK[:-1],
        _OK[:-2],
        b'{"code":"1000","msg":"ok"}\0',
        b'{"code":"1000","msg":"ok"}\r\n\r\n<!-- server 3 -->',
        b'{"code":"1000","msg":"ok"}{"code":"1002"}',
        b"\xef\xbb\xbf" + _OK,
        b'{"code":1000}',
        b'{"code":"1000","code":1000}',
        b'[{"code":"1000","msg":"ok"}]',
        b'"{\\"code\\":\\"1000\\",\\"msg\\":null}"',
        b'{"code":1000.0,"msg":null}',
        b'{"code":"1000.0"}',
        b'{"code":"01000"}',
        b'{"code":"1000\\u0000"}',
        b'{"code":"1000" "msg":"ok"}',
        b'{"code":" 1000 "}',
        b'{" code ":"1000",}',
        b'{"msg":"ok","code":"1000"}',
        b'{"code":"1000","msg":[]}',
        b'{"code":"1000","msg":nan}',
        b'{"code":"1000","msg":"C:\\path"}',
        b'{"code":"1000","msg":"two\nlines"}',
        b'{"code":"1000","msg":"say "hi" to all"}',
        b'{"msg":"say "hi" to all","code":"1000"}',
        b'{"code":"1000","msg":"a" "data":{}}',
        b'{"code":"1000","data":{"a":[1,2}}',
        b'{"code":"1000","x":' + b"[" * 500,
        b'{"code":"1000","x":[' + b"[]," * LONGEST + b"[]]}",
        b'{"code":"1000","code":"1000"}',
    ],
)
def test_a_code_that_can_be_read_counts(body: bytes) -> None:
    """1000 with any msg, any tail, any cut and in any spelling is 1000."""
    assert decode_answer(body).code == "1000"


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b'{"msg":"x"}',
        b'{"code":null}',
        b'"1000"',
        b'{"code":[]}',
        b'{"code":true}',
        b'{"code":"1000","code":"1002"}',
        b'{"code":"10',
        b'{"code":nan,"msg":"1000"}',
        b'{"data":{"code":"1000"}}',
        b'{"msg":"code: 1000"}',
    ],
)
def test_json_without_a_code(body: bytes) -> None:
    """JSON without a code that can be read is told from what is no JSON."""
    with pytest.raises(NoCode):
        decode_answer(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"ok",
        b"<html><body>Please log in</body></html>",
        b'<script>x={"code":"1000"}</script>',
        b'{"data":{"code":"1000"};"msg":"a" "b"}',
        b'{"x":{"code":"1000"};"code":"1002"}{',
        b'{"data":"a "b": c","code":"1000","x":{"code":"1002"}}',
    ],
)
def test_what_is_no_json(body: bytes) -> None:
    """A page of a captive portal is no answer; damage before a nested code hides it."""
    with pytest.raises(NotJson):
        decode_answer(body)


def test_an_answer_may_be_odd() -> None:
    """An unknown code and a missing msg are taken as they come."""
    assert decode_answer(b'{"code":"4711","msg":"?"}') == Answer("4711", "?")
    assert decode_answer(b'{"code":"E-7","msg":5}') == Answer("E-7", "5")
    assert decode_answer(b'{" code":1000,}') == Answer("1000")


@pytest.mark.parametrize("name", NASTY)
def test_nasty_answers(name: str) -> None:
    """Nasty bytes are an answer, NotJson or BadMessage."""
    got = outcome(lambda: decode_answer(NASTY[name]), NotJson, BadMessage)
    assert isinstance(got, Answer | NotJson | BadMessage)


@given(likely_bytes)
@checked
def test_any_answer_bytes(body: bytes) -> None:
    """No bytes raise anything but NotJson and BadMessage."""
    got = outcome(lambda: decode_answer(body), NotJson, BadMessage)
    assert isinstance(got, Answer | NotJson | BadMessage)


@given(
    st.builds(
        Answer,
        st.sampled_from([str(code.value) for code in EtcCode]),
        texts.map(str.strip),
        st.none() | st.dictionaries(texts.map(str.strip), texts),
    )
)
@checked
def test_an_answer_is_read_as_it_was_sent(sent: Answer) -> None:
    """Decoding undoes encoding of an answer."""
    assert decode_answer(sent.encode()) == sent


@given(json_with("code", "msg", "data"))
@checked
def test_any_json_is_an_answer_or_none(content: Any) -> None:
    """Any JSON is an answer with a code, or NoCode."""
    body = outcome(lambda: json.dumps(content).encode(), ValueError)
    if isinstance(body, bytes):
        got = outcome(lambda: decode_answer(body), NotJson, BadMessage)
        assert not isinstance(got, Answer) or got.code
