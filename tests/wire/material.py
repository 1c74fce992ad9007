"""What the tests of the wire formats share: the documents' examples, nasty bytes, strategies."""

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

_DOCUMENTS = Path(__file__).with_name("documents")

# The same cases in every run, and no limit on how long one takes: a failure is never a matter of
# luck or of a busy machine.
checked = settings(max_examples=60, derandomize=True)

# A password that no error, no repr and no log may hold.
SECRET = "hunter2-secret"


def document(name: str) -> bytes:
    """Return an example as the source document prints it, letter by letter."""
    return (_DOCUMENTS / f"{name}.txt").read_bytes()


NASTY: dict[str, bytes] = {
    "nothing": b"",
    "white space": b" \r\n\t ",
    "a NUL": b"\x00",
    "a NUL behind": b'{"a":1}\x00',
    "a NUL in a string": b'{"session":"\x00","cmd":"\x00"}',
    "a BOM": b"\xef\xbb\xbf",
    "a BOM before": b'\xef\xbb\xbf{"session":"1","cmd":"QAD"}',
    "GBK": '{"code":"1000","msg":"成功"}'.encode("gbk"),
    "UTF-16": '{"session":"1"}'.encode("utf-16"),
    "a lone surrogate": b'{"session":"\\ud800","cmd":"\\udfff","uid":"\\ud800"}',
    "a lone surrogate in single quotes": b"{session:'\\ud800',cmd:'QAD',}",
    "a lone surrogate as a key": b'{"\\udc00":1}',
    "a raw surrogate": b'{"session":"\xed\xa0\x80"}',
    "NaN": b"{session:NaN}",
    "Infinity": b"{code:Infinity,msg:-Infinity,}",
    "a float past all": b'{"session":1e999}',
    "a far exponent": b'{"code":1e99999999999999999999}',
    "a huge integer": b'{"session":' + b"9" * 5000 + b',"cmd":"QAD"}',
    "a huge hexadecimal integer": b"{session:0x" + b"f" * 5000 + b",cmd:'QAD'}",
    "a hexadecimal integer of 60 KiB": b"{result:0x" + b"f" * 60_000 + b"}",
    "a huge integer inside": b"{data:{cardInfos:[0x" + b"f" * 5000 + b"]},code:1,}",
    "an integer of 4300 digits": b'{"timeStamp":' + b"1" * 4300 + b"}",
    "an integer of 4301 digits": b'{"timeStamp":' + b"1" * 4301 + b"}",
    "10,000 open braces": b"{" * 10_000,
    "10,000 nested braces": b"{" * 10_000 + b"}" * 10_000,
    "10,000 nested objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "100,000 open brackets": b"[" * 100_000,
    "34 nested lists": b"[" * 34 + b"]" * 34,
    "equal keys": b'{"cmd":"QAD","cmd":"SOFF","session":"1","session":""}',
    "equal keys but for space": b'{"cmd":"QAD"," cmd ":"SOFF","session ":"1"}',
    "no object": b'["session"]',
    "a number": b"12",
    "a word": b"hello",
    "null": b"null",
    "nulls": b'{"session":null,"cmd":null,"result":null,"code":null,"uid":null}',
    "truths": b'{"session":true,"cmd":false,"result":true,"code":true}',
    "lists": b'{"session":[],"cmd":{},"result":[1],"code":{"a":1},"data":[]}',
    "a code of no digits": b'{"result":"xxx"}',
    "a code of other digits": '{"result":"١٠١"}'.encode(),
    "a comment without end": b"/*" * 1000,
    "curly quotes": "{“code” : “1000”}".encode(),
    "an escape at the end": b'{"a":"\\',
    "1 MiB of random bytes": random.Random(1).randbytes(1 << 20),
    "1 MiB of a string": b'{"session":"' + b"x" * (1 << 20) + b'"}',
}

_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**4299, max_value=10**4400)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["\ud800", "\x00", "1", "NoData", "2019-11-29 13:58:50"])
)


def _nested(keys: SearchStrategy[str]) -> SearchStrategy[Any]:
    return st.recursive(
        _scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6),
        max_leaves=10,
    )


def json_with(*keys: str) -> SearchStrategy[Any]:
    """Return anything that a decoder of JSON may hand on, most of it under these keys."""
    return _nested(st.sampled_from(keys) | st.text(max_size=6))


# Any text that UTF-8 can carry, and the same without the empty one.
texts = st.text(max_size=40)
some_texts = st.text(min_size=1, max_size=40)

# Bytes that look like JSON now and then.
likely_bytes = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from(
            [
                b"{",
                b"}",
                b"[",
                b"]",
                b'"',
                b"'",
                b":",
                b",",
                b"\\",
                b"\\u",
                b"d800",
                b"//",
                b"/*",
                b"session",
                b"cmd",
                b"result",
                b"code",
                b"data",
                b"101",
                b"NaN",
                b"-",
                b"1e9",
                b" ",
                b"\n",
                b"\x00",
                b"\xff",
                b"\xef\xbb\xbf",
                "（".encode(),
                b"null",
                b"0x1F",
            ]
        ),
        max_size=30,
    ).map(b"".join),
)

_T = TypeVar("_T")


def outcome(call: Callable[[], _T], *expected: type[Exception]) -> _T | Exception:
    """Return what `call` returns or, of the expected exceptions alone, what it raises."""
    try:
        return call()
    except expected as error:
        return error


def cuts(data: bytes, places: list[int]) -> list[bytes]:
    """Return `data` in pieces, cut at `places`."""
    edges = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]
