"""The answers of the platform, of cabinets and of our `monitor.do`, read as far as they can be.

Source: the ETC document, section 1.6. A code that can be read counts, whatever else the answer
holds: without the code a report is sent again, and the platform has it twice.
"""

import re
from typing import Any

from twisted_gantry.wire.errors import BadMessage, NotJson
from twisted_gantry.wire.etc.cards import split_list
from twisted_gantry.wire.etc.envelope import Answer, EtcCode
from twisted_gantry.wire.json import salvage_text
from twisted_gantry.wire.numbers import text, unpadded, whole

LONGEST = 32 * 1024
"""Bytes of an answer that are read, without its list of cards."""

_CODE = rb'"\s*+code\s*+"\s*+:\s*+(?:"\s*+([0-9]{4})\s*+"|([0-9]{4})(?=[\s,}]))'
_SCALAR = rb'"[^"\\]*+"\s*+:\s*+(?:"[^"\\]*+"|[-+.\w]+)\s*+,\s*+'
# The code among the whole members before the damage, or as the last member behind it.
_BEFORE = re.compile(rb"\s*+\{\s*+(?:" + _SCALAR + rb")*" + _CODE)
_BEHIND = re.compile(rb",\s*+" + _CODE + rb"\s*+\}[\s\0]*+\Z")
_ANY_CODE = re.compile(_CODE)


_MEANS = {
    EtcCode.NOT_ALLOWED: "password",
    EtcCode.CLOCK_SKEW: "clock",
    EtcCode.TOO_FREQUENT: "busy",
}


def trouble_of(code: EtcCode | None, msg: str | None) -> str:
    """Return what a code other than success says about the peer: `password`, `clock`, `busy`,
    `wrong-identity` or `error-answer`.
    """
    names_id = re.search("(?i)gantry_?id|cabinet_?id", msg or "")
    if code is EtcCode.BAD_PARAMETERS and names_id:
        return "wrong-identity"
    return "error-answer" if code is None else _MEANS.get(code, "error-answer")


class NoCode(BadMessage):
    """JSON, but no answer: without a code that can be read."""


def decode_answer(body: bytes) -> Answer:
    """Read an answer, repaired where needed. Raises NotJson, or NoCode for JSON without a code."""
    skeleton, cards = split_list(body)
    skeleton = skeleton[:LONGEST]
    try:
        fields, repairs = salvage_text(skeleton)
    except NotJson as error:
        code = _code_of(skeleton)
        if code is None:
            raise
        return Answer(code, repairs=(str(error),))
    fields = _unwrapped(fields)
    if not isinstance(fields, dict):
        raise NoCode("an answer that is no object")
    code = unpadded(fields.get("code"))
    number = whole(code)
    given = text(code) if number is None else str(number)
    if not given:
        raise NoCode("an answer without a code")
    msg, result = text(fields.get("msg")), fields.get("batterysTestResult")
    return Answer(given, msg, fields.get("data"), result, cards, repairs)


def _unwrapped(fields: Any) -> Any:
    """Return an answer that stands alone in a list, or as JSON in a text."""
    if isinstance(fields, str) and fields.lstrip().startswith("{"):
        try:
            fields = salvage_text(fields.encode("utf-8", "replace")).value
        except NotJson:
            return None
    return fields[0] if isinstance(fields, list) and len(fields) == 1 else fields


def _code_of(damaged: bytes) -> str | None:
    """Return the code of an answer with damage elsewhere."""
    match = _BEFORE.match(damaged)
    if match is None and damaged.lstrip().startswith(b"{"):
        match = _BEHIND.search(damaged) if len(_ANY_CODE.findall(damaged)) == 1 else None
    return None if match is None else (match[1] or match[2]).decode()
