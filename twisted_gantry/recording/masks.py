"""Masking of recordings: secrets become `***`, identifiers become pseudonyms.

All other characters stay, malformed ones too, because a recording shows how a device really
writes. So the text is read as tokens of lenient JSON, whether it is JSON or not.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import quote, unquote_plus

from twisted_gantry.recording.pseudonyms import Pseudonyms
from twisted_gantry.wire.etc.envelope import Sentinel
from twisted_gantry.wire.upscard.messages import CLEAR_PASSWORD

HIDDEN = "***"
LEAST = 4
"""Characters of a value that is sought everywhere; a shorter one is hidden in its field alone."""
# Identifiers that are learned from a device's fields, and then sought everywhere.
MOST_LEARNED = 256

_TOKEN = re.compile(
    r""""(?:[^"\\]|\\.)*(?:"|\\?\Z)|'(?:[^'"\\\n]|\\.){0,200}'|[{}\[\]:,]|[^\s"'{}\[\]:,]+""",
    re.DOTALL,
)
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_PLACES = (
    r"(?P<host>(?<=://)[^/\s\"'?#\\]+)"
    r"|(?P<ip>(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.]))"
    r"|(?P<mac>(?<![0-9A-Za-z])(?:(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}"
    r"|(?:[0-9A-Fa-f]{2}-){2,7}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}-){2,3}[0-9A-Fa-f]{4})"
    r"(?![0-9A-Za-z]))"
)
_KEPT = frozenset({"true", "false", "null", "", *(each.value for each in Sentinel)})


@dataclass(frozen=True)
class Fields:
    """Field names in lower case: `pass`, or `rfids.id` for an `id` within `rfids`."""

    secret: frozenset[str]
    identifier: frozenset[str]

    def __or__(self, other: "Fields") -> "Fields":
        return Fields(self.secret | other.secret, self.identifier | other.identifier)


def _fields(secret: str, identifier: str) -> Fields:
    return Fields(frozenset(secret.split()), frozenset(identifier.split()))


GENERAL = _fields(
    "pass password new_pass pwd passwd pin rfid token auth authorization binfile-auth apikey tkey",
    "gantryid uid device_uid eqsn serial serial_no serialno sn imei mac hostname cardid",
)
"""The fields of every kind of device."""
_SERIAL_NO, _LAST_RFID = range(8008, 8016), range(8096, 8111)
_USER_CALLS = ("get_users", "get_user", "set_user", "users", "get_new_user_id")
FIELDS: Mapping[str, Fields] = {
    # `uid`, `pass`, `new_pass`; what is in `host` is found as a URL.
    "cfos": _fields(
        "fixed_rfid old_pwd new_pwd rfids.id "
        + " ".join(f"{at}{suffix}" for at in _LAST_RFID for suffix in ("", "d", "q", "s")),
        "users get_new_user_id "
        + " ".join(f"{call}.{name}" for call in _USER_CALLS for name in ("id", "name"))
        + " "
        + " ".join(f"{at}{suffix}" for at in _SERIAL_NO for suffix in ("", "d", "q", "s")),
    ),
    "cabinet": _fields("", "frontdoorunlockcardid backdoorunlockcardid"),
}
"""Further fields, by kind of device."""


@dataclass
class _Token:
    """A token and its place; `key` is the field that it is a value of, empty for other tokens."""

    start: int
    end: int
    text: str
    key: str = ""
    within: str = ""  # the key of the object or list around the token
    words: str = field(default="", repr=False)  # the decoded text

    @property
    def quoted(self) -> bool:
        return self.text[:1] in {'"', "'"}


class Masks:
    """Masks the messages between the gantry and one device.

    `secrets` and `identifiers` come from the settings. More are learned from the fields of
    messages; secrets are learned only from messages that the gantry sent.
    """

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        kind: str,
        secrets: Iterable[str] = (),
        identifiers: Iterable[str] = (),
    ) -> None:
        self._names = pseudonyms
        self._fields = GENERAL | FIELDS.get(kind, _fields("", ""))
        self._loose = _loose(self._fields)
        self._secrets: set[str] = set()
        self._identifiers: set[str] = set()
        self._learned = 0  # identifiers from messages
        self._sought: re.Pattern[str] | None = None
        self._instead: dict[str, str] = {}
        for each in secrets:
            self._learn_secret(each)
        self._identifiers.update(each for each in identifiers if len(each) >= LEAST)

    # -- what is hidden

    def content(self, data: bytes, *, ours: bool, root: str = "") -> tuple[str | None, str | None]:
        """Return `data`, masked: as text if it is UTF-8, else as base64.

        `ours`: the gantry sent it. `root` is the key for a value that has none.
        """
        try:
            masked = self.text(data.decode(), ours=ours, root=root)
            return masked.encode("utf-8", "replace").decode(), None
        except UnicodeDecodeError:
            masked = self.text(data.decode("latin-1"), ours=ours, root=root)
            return None, b64encode(masked.encode("latin-1", "replace")).decode()

    def text(self, text: str, *, ours: bool, root: str = "") -> str:
        tokens = _values(text, root)
        for token in tokens:
            self._learn(token, ours)
        for match in self._loose.finditer(text):  # a stray quote may hide a field from `_values`
            self._learn(_Token(0, 0, "", match[1].lower(), "", match[2]), ours)
        masked: list[str] = []
        at = 0  # the end of the masked part
        for token in tokens:
            instead = self._instead_of(token)
            if instead is not None:
                masked += (self._seek(text[at : token.start]), instead)
                at = token.end
        masked.append(self._seek(text[at:]))
        return self._last_look("".join(masked))

    def target(self, target: str) -> str:
        """Return the path and query of a URL, masked; its `cmd` counts as the object around."""
        path, mark, query = target.partition("?")
        pairs = [part.partition("=") for part in query.split("&")]
        commands = (value for name, _, value in pairs if unquote_plus(name) == "cmd")
        within = unquote_plus(next(commands, "")).lower()
        masked = []
        for raw, equals, raw_value in pairs:
            name, value = unquote_plus(raw).strip().lower(), unquote_plus(raw_value)
            token = _Token(0, 0, f'"{raw_value}"', name, within, value)
            self._learn(token, ours=True)
            instead = self._hidden(token)
            if instead is None:
                instead = self.text(value, ours=True)
            written = raw_value if instead == value else quote(instead, safe="*")
            masked.append(f"{raw}{equals}{written}")
        return self._seek(path) + mark + "&".join(masked)

    def words(self, text: str) -> str:
        """Return a sentence, such as the reason of an error, masked."""
        return self._last_look(self._seek(text))

    def registers(self, text: str, first: int) -> str | None:
        """Return a list of registers from `first` on, masked; None if `text` is no such list."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not (isinstance(values, list) and all(type(each) is int for each in values)):
            return None
        masked = [self._register(first + at, value) for at, value in enumerate(values)]
        return text if masked == values else json.dumps(masked, separators=(",", ":"))

    def _register(self, address: int, value: int) -> int:
        if address in _LAST_RFID:
            return 0
        if address not in _SERIAL_NO or not 0 <= value < 1 << 16:
            return value
        pair = self._names.of(value.to_bytes(2).decode("latin-1"))
        return int.from_bytes(pair.encode("latin-1", "replace")[:2])

    # -- learning

    def _learn(self, token: _Token, ours: bool) -> None:
        secret, identifier = self._holds(token)
        if secret and ours:
            self._learn_secret(token.words)
        elif identifier:
            self._learn_identifier(token.words)

    def _learn_identifier(self, text: str) -> None:
        room = self._learned < MOST_LEARNED
        if room and len(text) >= LEAST and text not in self._identifiers:
            self._learned += 1
            self._identifiers.add(text)
            self._sought = None

    def _learn_secret(self, text: str) -> None:
        if len(text) >= LEAST and text != CLEAR_PASSWORD and text not in self._secrets:
            self._secrets.add(text)
            self._sought = None

    def _holds(self, token: _Token) -> tuple[bool, bool]:
        names = {token.key, f"{token.within}.{token.key}"} if token.words not in _KEPT else set()
        secret = bool(names & self._fields.secret)
        return secret, not secret and bool(names & self._fields.identifier)

    # -- hiding

    def _hidden(self, token: _Token) -> str | None:
        secret, identifier = self._holds(token)
        if secret:
            return HIDDEN
        return self._names.of(token.words) if identifier else None

    def _instead_of(self, token: _Token) -> str | None:
        if not token.quoted and token.text in _KEPT:
            return None
        hidden = self._hidden(token)
        if hidden is None and token.quoted:
            sought = self._seek(token.words)
            hidden = None if sought == token.words else sought
        elif hidden is None and _NUMBER.fullmatch(token.text):
            if token.text in self._secrets:
                hidden = HIDDEN
            elif token.text in self._identifiers:
                hidden = self._names.of(token.text)
        if hidden is None:
            return None
        if token.quoted or not _NUMBER.fullmatch(hidden):
            return json.dumps(hidden, ensure_ascii=False)
        return hidden

    def _seek(self, text: str) -> str:
        """Mask known values and addresses, wherever they stand."""
        if self._sought is None:
            self._prepare()
        assert self._sought is not None
        return self._sought.sub(self._found, text)

    def _prepare(self) -> None:
        self._instead = {}
        for each in self._identifiers:
            for form in _forms(each):
                self._instead[form] = self._host(each) if _is_place(each) else self._names.of(each)
        for each in self._secrets:  # last: a value that is both is a secret
            self._instead.update(dict.fromkeys(_forms(each), HIDDEN))
        longest_first = sorted(self._instead, key=len, reverse=True)
        known = "|".join(re.escape(each) for each in longest_first)
        self._sought = re.compile(f"(?P<known>{known})|{_PLACES}" if known else _PLACES)

    def _found(self, match: re.Match[str]) -> str:
        found = match.group()
        if match.lastgroup == "known":
            return self._instead[found]
        if match.lastgroup == "host":
            return self._netloc(found)
        return self._host(found) if match.lastgroup == "ip" else self._names.of(found)

    def _netloc(self, netloc: str) -> str:
        _, at, place = netloc.rpartition("@")
        bracketed = re.fullmatch(r"(\[)([^\]]*)(\].*)", place, re.DOTALL)
        if bracketed is not None:
            place = bracketed[1] + self._host(bracketed[2]) + bracketed[3]
        else:
            host, colon, port = place.partition(":")
            place = self._host(host) + colon + port
        return (HIDDEN + at if at else "") + place

    def _host(self, host: str) -> str:
        """Return the pseudonym of a host; this machine's own names, and non-hosts, stay."""
        if host == "localhost" or not host.strip("[].:"):
            return host
        try:
            address = ip_address(host)
        except ValueError:
            known = self._instead.get(host)
            return host if "***" in host else known or self._names.of(host)
        return host if address.is_loopback or address.is_unspecified else self._names.of(host)

    def _last_look(self, text: str) -> str:
        """Hide secrets that span tokens, except those of digits: a number may contain them."""
        for each in self._secrets:
            if not each.isdigit():
                for form in _forms(each):
                    text = text.replace(form, HIDDEN)
        return text


def _loose(fields: Fields) -> re.Pattern[str]:
    """Return a pattern that finds fields and their values, also within strings."""
    names = sorted(each for each in fields.secret | fields.identifier if "." not in each)
    either = "|".join(re.escape(each) for each in names)
    form = rf"""(?<![0-9A-Za-z_])({either})["']?\s{{0,9}}[:=]\s{{0,9}}["']?([^"',{{}}\s]+)"""
    return re.compile(form, re.IGNORECASE)


def _is_place(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _forms(text: str) -> set[str]:
    """Return how a text may be written: plain, in JSON, in a URL, as Latin-1."""
    forms = {
        text,
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        quote(text, safe="", errors="replace"),
        quote(text, errors="replace"),
        text.encode("utf-8", "replace").decode("latin-1"),
    }
    return {form for form in forms if form}


def _values(text: str, root: str) -> list[_Token]:
    """Return the keys and values of a text, each value with the key that it stands under."""
    tokens = [_Token(m.start(), m.end(), m.group()) for m in _TOKEN.finditer(text)]
    found: list[_Token] = []
    around: list[str] = []
    key = root
    for at, token in enumerate(tokens):
        mark = token.text
        if mark in {"{", "["}:
            around.append(key)
            if mark == "{":
                key = ""
        elif mark in {"}", "]"}:
            key = around.pop() if around else root
        elif mark not in {",", ":"}:
            token.words = _meaning(token)
            token.within = around[-1] if around else root
            if at + 1 < len(tokens) and tokens[at + 1].text == ":":
                key = token.words.strip().lower()
            else:
                token.key = key
            found.append(token)
    return found


def _meaning(token: _Token) -> str:
    if not token.quoted:
        return token.text
    if token.text[0] == '"':
        try:
            return str(json.loads(token.text, strict=False))
        except ValueError:
            pass
    inner = token.text[1:]
    return inner[:-1] if inner.endswith(token.text[0]) else inner
