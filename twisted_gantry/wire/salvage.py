"""A tolerant JSON parser: it reads what a strict one refuses, and says what it had to repair.

Three grades. JSON is JSON. *Loose* spelling is JSON too: trailing commas, keys without quotes,
single quotes, comments, `+1`, `.5`. Everything else that can be read is a *repair*: one member or
element is lost (None), or a few bytes are skipped. Damage of the structure in the middle is an
error, because a member could be taken for another one.
"""

import re
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, NamedTuple, cast

from twisted_gantry.wire.errors import NotJson, TooLarge
from twisted_gantry.wire.numbers import flag, number

# Blanks, comments of a bounded length, and the control characters that small firmwares send.
# A group with an inner repetition is not possessive: before Python 3.11.5 it may match wrongly.
_BLANK = re.compile(
    rb"[\x00-\x20\x7f]*(?:(?://[^\r\n]*|/\*.{0,100}?\*/)[\x00-\x20\x7f]*)*", re.DOTALL
)
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_RAW_CONTROL = re.compile(rb"[\x00-\x1f]")
_BLANKED = bytes(0x20 if each < 0x20 else each for each in range(256))
_ENDS = {
    0x22: re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL),
    0x27: re.compile(rb"[^'\\]*(?:\\.[^'\\]*)*'", re.DOTALL),
}
# The second byte of a GB18030 letter may be a backslash.
_GB_ENDS = {
    0x22: re.compile(
        rb'(?:[^"\\\x80-\xff]+|[\x81-\xfe][\x30-\x7e\x80-\xfe]|\\.|[\x80-\xff])*+"', re.DOTALL
    ),
    0x27: re.compile(
        rb"(?:[^'\\\x80-\xff]+|[\x81-\xfe][\x30-\x7e\x80-\xfe]|\\.|[\x80-\xff])*+'", re.DOTALL
    ),
}
_BARE = re.compile(rb'[^,:\[\]{}"\x27/]*(?:/(?![/*])[^,:\[\]{}"\x27/]*)*')
_NAME = re.compile(rb"[A-Za-z_$][A-Za-z0-9_$.-]*")
_NUMBER = re.compile(
    rb"[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|[+-]?\.[0-9]+(?:[eE][+-]?[0-9]+)?"
)
_INTEGER = re.compile(rb"[+-]?[0-9]+")
# A text in single quotes, as one in double quotes.
_QUOTES = re.compile(r'\\.|"', re.DOTALL)
_REQUOTED = {"\\'": "'", '"': '\\"'}
_SURROGATE = re.compile("[\ud800-\udfff]")
_LITERALS = {b"true": True, b"false": False, b"null": None}
# A key where a comma is due, a time without quotes, and what follows a quote within a text. None of
# them passes over the beginning of another member.
_NEXT_KEY = re.compile(rb'"[^"\\\x00-\x1f]{1,100}"[ \t\r\n]*+:')
_TIME = re.compile(rb"[ \t]*[0-9][0-9TZ:.+ -]*(?=[\r\n]*[,}\]])")
_REST_OF_TEXT = re.compile(rb'(?:[^"\\:{}\[\]]{0,200}"){1,4}?(?=[ \t\r\n]*[,}])')
# Longer numbers mean nothing in any of the protocols.
_LONGEST_TOKEN = 400
# More repairs than these are not described.
_MOST_TOLD = 8


class Limits(NamedTuple):
    """How much may be decoded: bytes, nodes (elements and members), nesting."""

    size: int = 1024 * 1024
    nodes: int = 20_000
    depth: int = 32


class Salvaged(NamedTuple):
    """What was read. `repairs` names the place and kind of at most nine repairs, no content."""

    value: Any
    repairs: tuple[str, ...] = ()


# Ends of the repairs after which every value is still there.
_HARMLESS = (
    "control characters between members",
    "control characters in a text",
    "in GB18030",
    "in capitals",
    "no comma behind it",
    "a quote within a text",
)


def losses(repairs: tuple[str, ...]) -> list[str]:
    """Return the repairs that cost a value, or part of one."""
    return [each for each in repairs if not each.endswith((*_HARMLESS, "behind the end"))]


class _Cut(Exception):
    """The input ends within a value."""


@dataclass(slots=True)
class _Parser:
    data: bytes
    limits: Limits
    at: int = 0
    nodes: int = 0
    count: int = 0
    cut: bool = False
    path: list[str | int] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)

    def repair(self, what: str) -> None:
        self.count += 1
        if self.count <= _MOST_TOLD:
            self.repairs.append(f"{self._place()}: {what}")
        elif self.count == _MOST_TOLD + 1:
            self.repairs.append("and more")

    def _place(self) -> str:
        place = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in self.path)
        return place.lstrip(".")[:120] or "the message"

    def peek(self) -> int:
        """Skip blanks; return the next byte, -1 at the end."""
        blank = _BLANK.match(self.data, self.at)
        start, self.at = self.at, blank.end() if blank else self.at
        if self.at == len(self.data):
            return -1
        if _CONTROL.search(self.data, start, self.at):
            self.repair("control characters between members")
        return self.data[self.at]

    def document(self) -> Any:
        value = self.value(0)
        if not self.cut:
            end = self.at
            if self.peek() >= 0 or _CONTROL.search(self.data, end):
                if not isinstance(value, dict | list):
                    raise NotJson("not JSON: no object")
                self.path.clear()
                self.repair(f"{len(self.data) - end} bytes behind the end")
        return value

    def value(self, depth: int) -> Any:
        first = self.peek()
        if first == 0x7B or first == 0x5B:
            if depth >= self.limits.depth:
                raise TooLarge(f"nested more than {self.limits.depth} deep")
            return self.members(depth + 1) if first == 0x7B else self.elements(depth + 1)
        if first == 0x22 or first == 0x27:
            return self.string(first)
        return self.scalar(depth)

    def members(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        failed: set[str] = set()
        last: str | None = None
        self.at += 1
        try:
            while True:
                following = self.peek()
                if following == 0x7D:
                    self.at += 1
                    return found
                if following < 0:
                    raise _Cut
                key = self.key(following)
                if key is None:  # `1,5`: a decimal comma; the member before loses its value
                    if last is None or isinstance(found[last], bool | str | dict | list):
                        raise NotJson(f"not JSON: no key at byte {self.at}")
                    found[last] = None
                    failed.add(last)
                    self.repair("a number with a comma")
                else:
                    self.member(key, found, failed, depth)
                    last = key
                    if self.cut:
                        return found
                self.next_member(found, failed, last)
        except _Cut:
            self.cut_off()
            return found

    def member(self, key: str, found: dict[str, Any], failed: set[str], depth: int) -> None:
        self.node()
        if self.peek() != 0x3A:
            if self.at >= len(self.data):
                raise _Cut
            raise NotJson(f"not JSON: no colon behind a key at byte {self.at}")
        self.at += 1
        self.path.append(key)
        value = self.value(depth)
        if key in failed:
            value = None
        elif key in found and not _same(found[key], value):
            self.repair("twice, with different values")
            failed.add(key)
            value = None
        found[key] = value
        self.path.pop()

    def elements(self, depth: int) -> list[Any]:
        found: list[Any] = []
        self.at += 1
        try:
            while True:
                following = self.peek()
                if following == 0x5D:
                    self.at += 1
                    return found
                if following < 0:
                    raise _Cut
                self.node()
                self.path.append(len(found))
                found.append(self.value(depth))
                self.path.pop()
                if self.cut:
                    return found
                if isinstance(found[-1], dict) and self.peek() == 0x7B:
                    self.repair("no comma behind it")
                else:
                    self.separator(0x5D)
        except _Cut:
            self.cut_off()
            return found

    def separator(self, end: int) -> None:
        """Pass a comma; stay before the end of the container."""
        following = self.peek()
        if following == 0x2C:
            self.at += 1
        elif following < 0:
            raise _Cut
        elif following != end:
            raise NotJson(f"not JSON: no comma at byte {self.at}")

    def next_member(self, found: dict[str, Any], failed: set[str], last: str) -> None:
        """Pass a comma between members, or do without it where it is clear what follows."""
        before = self.at
        if self.peek() != 0x2C and before < len(self.data):
            self.path.append(last)
            if _NEXT_KEY.match(self.data, self.at):
                # The comma may have become the last digit of a number.
                if before == self.at and self.data[before - 1] not in b"\"'}] \t\r\n":
                    found[last] = None
                    failed.add(last)
                    self.repair("no comma behind a number")
                else:
                    self.repair("no comma behind it")
                self.path.pop()
                return
            rest = _REST_OF_TEXT.match(self.data, self.at)
            if rest and isinstance(found[last], str) and self.data[before - 1] == 0x22:
                self.at = rest.end()
                self.repair("a quote within a text")
                raw = self.data[before : self.at - 1].translate(_BLANKED)
                following = _utf8(raw)
                found[last] += '"' + (_other_text(raw)[0] if following is None else following)
            self.path.pop()
        self.separator(0x7D)

    def node(self) -> None:
        self.nodes += 1
        if self.nodes > self.limits.nodes:
            raise TooLarge(f"more than {self.limits.nodes} values")

    def cut_off(self) -> None:
        if not self.cut:
            self.cut = True
            self.repair("cut off here")

    def key(self, first: int) -> str | None:
        """Return a key, stripped; None where a number stands in its place."""
        if first == 0x22 or first == 0x27:
            text = self.string(first, trimmed=True)
            return text.strip() if isinstance(text, str) else f"(unreadable at byte {self.at})"
        name = _NAME.match(self.data, self.at)
        if name is not None:
            self.at = name.end()
            return name[0].decode("ascii")
        bare = _BARE.match(self.data, self.at)
        token = bare[0].strip() if bare else b""
        if _INTEGER.fullmatch(token) and bare is not None:
            if bare.end() == len(self.data):
                raise _Cut
            if self.data[bare.end()] in b",}":
                self.at = bare.end()
                return None
        raise NotJson(f"not JSON: no key at byte {self.at}")

    def string(self, quote: int, trimmed: bool = False) -> str | None:
        start = self.at + 1
        found = _ENDS[quote].match(self.data, start)
        raw = self.data[start : found.end() - 1] if found else self.data[start:]
        text = _utf8(raw)
        if text is None:
            found = _GB_ENDS[quote].match(self.data, start) or found
            raw = self.data[start : found.end() - 1] if found else raw
        if found is None:
            self.at = len(self.data)
            raise _Cut
        self.at = found.end()
        if trimmed:  # the blanks around a key are no part of the key
            raw = raw.strip(b" \t\r\n")
        if _RAW_CONTROL.search(raw):
            self.repair("control characters in a text")
            raw = raw.translate(_BLANKED)
            text = _utf8(raw)
        if text is None:
            text, what = _other_text(raw)
            self.repair(what)
        if "\\" in text:
            return self.unescaped(text, quote)
        return text

    def unescaped(self, text: str, quote: int) -> str | None:
        if quote == 0x27:
            text = _QUOTES.sub(lambda each: _REQUOTED.get(each[0], each[0]), text)
        try:
            plain, end = cast("tuple[str, int]", scanstring(text + '"', 0, False))
        except ValueError:
            plain, end = "", 0
        if end != len(text) + 1 or _SURROGATE.search(plain):
            self.repair("a text with an unknown escape")
            return None
        return plain

    def scalar(self, depth: int) -> Any:
        bare = _BARE.match(self.data, self.at)
        whole = bare[0] if bare else b""
        self.at += len(whole)
        if depth and self.at == len(self.data):
            raise _Cut  # its last digits may be gone
        token = whole.strip(b" \t\r\n") if len(whole) <= _LONGEST_TOKEN else b"?"
        if token in _LITERALS:
            return _LITERALS[token]
        if depth and token.lower() in _LITERALS:
            self.repair("in capitals")
            return _LITERALS[token.lower()]
        if _NUMBER.fullmatch(token):
            value = int(token) if _INTEGER.fullmatch(token) else float(token)
            if isinstance(value, int) or value - value == 0:
                return value
        if depth == 0:
            raise NotJson("not JSON: no object")
        if self.data[self.at] == 0x3A and (time := _TIME.match(self.data, self.at - len(whole))):
            self.at = time.end()
        self.repair("no value that can be read" if token else "no value")
        return None


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are one, as `"1"`, `1.0` and true are."""
    if isinstance(one, dict | list) or isinstance(other, dict | list):
        return bool(one == other)
    if one == other:
        return True
    numbers, flags = (number(one), number(other)), (flag(one), flag(other))
    if None not in numbers:
        return numbers[0] == numbers[1]
    return None not in flags and flags[0] == flags[1]


def _utf8(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _other_text(raw: bytes) -> tuple[str, str]:
    """Read text that is not UTF-8; returns it with the description of the repair."""
    for encoding, name in (("utf-8", "UTF-8"), ("gb18030", "GB18030")):
        try:
            return raw.decode(encoding), f"a text in {name}"
        except UnicodeDecodeError as error:
            if error.end == len(raw) and error.start and "incomplete" in _reason(error):
                kept = raw[: error.start].decode(encoding)
                if number(kept) is None:  # the digits before an odd byte are another number
                    return kept, f"a {name} letter cut at its end"
    return raw.decode("latin-1"), "a text in Latin-1"


def _reason(error: UnicodeDecodeError) -> str:
    return "incomplete" if "unexpected end" in error.reason else error.reason


def parse(data: bytes, limits: Limits) -> Salvaged:
    """Parse UTF-8, GB18030 or Latin-1 text as loosely as this module can. Raises NotJson for what
    has no object or a damaged structure, TooLarge past `limits`.
    """
    parser = _Parser(data.removeprefix(b"\xef\xbb\xbf"), limits)
    try:
        value = parser.document()
    except _Cut:
        raise NotJson("not JSON: cut off") from None
    return Salvaged(value, tuple(parser.repairs))
