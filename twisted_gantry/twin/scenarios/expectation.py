"""What a scenario expects of a gantry; a client of the gantry checks it."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from twisted_gantry.wire.etc.envelope import FIELDS_KEY, Method
from twisted_gantry.wire.etc.reports import Cabinet, Computer
from twisted_gantry.wire.etc.uploads import GROUPS

LONGEST_WITHIN_S = 86_400.0

_COMPARISONS = frozenset({"is", "above", "below"})
_STATES = ("online", "connecting", "offline")
_DOTTED = re.compile(r"[A-Za-z0-9_-]{1,60}(\.[A-Za-z0-9_-]{1,60}){1,5}")
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,60}")
_PART = re.compile(r"([A-Za-z]{1,40})(\[[0-9]{1,2}\])?")

# The form of each kind's subject, and the keys of which it needs one; a record may have none.
_KINDS: Mapping[str, tuple[re.Pattern[str] | None, frozenset[str]]] = {
    **dict.fromkeys(("alarm", "cleared", "no_alarm"), (_DOTTED, frozenset())),
    "point": (_DOTTED, _COMPARISONS),
    "report": (None, _COMPARISONS),
    **dict.fromkeys(("record", "queue"), (_PLAIN, _COMPARISONS)),
    **dict.fromkeys(("device", "uplink"), (_PLAIN, frozenset({"state"}))),
}


@dataclass(frozen=True)
class Expectation:
    """One expectation, as it was given; `within_s` is real seconds after its step."""

    given: Mapping[str, Any]
    within_s: float


def read_expectation(given: Mapping[str, Any]) -> tuple[Expectation | None, list[str]]:
    """Return an expectation, or None and all its errors."""
    wrong = list(_complaints(given))
    return (None if wrong else Expectation(dict(given), float(given["within"]))), wrong


def _complaints(given: Mapping[str, Any]) -> Iterator[str]:
    kinds = [key for key in given if key in _KINDS]
    if len(kinds) != 1:
        yield f"must have one of {', '.join(_KINDS)}"
    kind = kinds[0] if kinds else "record"
    form, tests = _KINDS[kind]
    for key in given:
        if key != "within" and key not in kinds and key not in tests:
            yield f"there is no key {key[:40]!r}" + (f" beside {kind}" if kinds else "")
    within = given.get("within")
    if not is_number(within) or not 0 < float(within or 0) <= LONGEST_WITHIN_S:
        yield f"within: must be above 0 and at most {LONGEST_WITHIN_S:g} s"
    if len(kinds) == 1:
        yield from _subject_complaints(kind, given[kind], form)
        yield from _test_complaints(kind, given, tests)


def _subject_complaints(kind: str, subject: object, form: re.Pattern[str] | None) -> Iterator[str]:
    text = subject if isinstance(subject, str) else ""
    if form is None:
        if not _is_path(text):
            yield f"{kind}: {text[:60]!r} is no value of a report to the platform"
    elif not form.fullmatch(text):
        yield f"{kind}: {text[:60]!r} is no such name"


def _test_complaints(kind: str, given: Mapping[str, Any], tests: frozenset[str]) -> Iterator[str]:
    there = [key for key in given if key in tests]
    if tests and len(there) != 1 and (there or kind != "record"):
        yield f"{kind}: needs one of {', '.join(sorted(tests))}"
    for key in there:
        value = given[key]
        if key == "state" and value not in _STATES:
            yield f"state: must be one of {', '.join(_STATES)}"
        elif key in {"above", "below"} and not is_number(value):
            yield f"{key}: must be a number"
        elif key == "is" and not (isinstance(value, str | bool) or is_number(value)):
            yield "is: must be a text, a number, true or false"


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_path(text: str) -> bool:
    """Tell whether a report has such a value: `cabinetStatus.elec[0].status`."""
    if len(text) > 150:
        return False
    parts = [_PART.fullmatch(part) for part in text.split(".")]
    if None in parts:
        return False
    head, *rest = ((part[1], part[2] is not None) for part in parts if part is not None)
    if head == (FIELDS_KEY[Method.COMPUTER_STATUS], True):
        return rest in ([(name, False)] for name in Computer.__struct_encode_fields__)
    if head != (FIELDS_KEY[Method.CABINET_STATUS], False):
        return False
    groups = zip(Cabinet.__struct_encode_fields__, Cabinet.__struct_fields__, strict=True)
    shapes = {name: GROUPS[field] for name, field in groups if field in GROUPS}
    values = (
        [(group, shape.is_array), (name, False)]
        for group, shape in shapes.items()
        for name in shape.message.__struct_encode_fields__
    )
    return rest == [("id", False)] or rest in values
