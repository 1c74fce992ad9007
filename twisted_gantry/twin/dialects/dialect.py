"""A dialect: a way in which a real peer writes what its document writes otherwise.

A dialect changes what an endpoint says, never what the endpoint does or knows: the simulated world
stays as it is, and a card that cannot say a value still acts on its command.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Json = dict[str, Any]
Fields = Callable[[Json, int], Json]
"""Returns a changed message; the number counts the messages of the endpoint from 1."""

# Marks inside texts; they stand for bytes that JSON does not have.
_BARE = re.compile('"\ue000([^\ue000"]*)\ue000"')
RAW_CR, RAW_LF, RAW_NUL, _QUOTE = "\ue00d", "\ue00a", "\ue001", "\ue022"
_RAW = str.maketrans({RAW_CR: "\r", RAW_LF: "\n", RAW_NUL: "\0", _QUOTE: '"'})


class Peer(StrEnum):
    """What kind of peer speaks."""

    UPS = "ups"
    CFOS = "cfos"
    EMS = "ems"
    CABINET = "cabinet"
    PLATFORM = "platform"
    CLOUD = "cloud"


@dataclass(frozen=True)
class Dialect:
    """One dialect of a kind of peer, with a sentence about it in both languages.

    `fields` changes the message, `encoding` writes its text, `data` changes the bytes. `delay` is
    how long each reply takes, in seconds. With `closes` a session ends after each reply. Over HTTP
    an answer `in_chunks` has no length, and with `counts_letters` the length of its text.
    """

    name: str
    en: str
    zh: str
    fields: Fields | None = None
    encoding: str = "utf-8"
    data: Callable[[bytes], bytes] | None = None
    delay: float = 0.0
    closes: bool = False
    in_chunks: bool = False
    counts_letters: bool = False


class UnknownDialect(ValueError):
    """An unknown dialect; the text names the known ones of the peer."""


class Voice:
    """How one endpoint speaks; `known` are the dialects of its kind of peer."""

    def __init__(self, peer: Peer, known: Collection[Dialect]) -> None:
        self.peer = peer
        self._known: Mapping[str, Dialect] = {each.name: each for each in known}
        self._spoken: tuple[Dialect, ...] = ()
        self._said = 0

    @property
    def names(self) -> list[str]:
        """The dialects that are spoken, in the order in which they apply."""
        return [each.name for each in self._spoken]

    def read(self, names: object) -> tuple[Dialect, ...]:
        """Return dialects by their names, one text or a list. Raises UnknownDialect."""
        listed = [names] if isinstance(names, str) else names
        if not isinstance(listed, Sequence) or not all(isinstance(each, str) for each in listed):
            raise UnknownDialect("must be the name of a dialect, or a list of names")
        for name in listed:
            if name not in self._known:
                known = ", ".join(self._known)
                raise UnknownDialect(f"no dialect {name[:40]!r} of {self.peer}; known: {known}")
        return tuple(self._known[name] for name in dict.fromkeys(listed))

    def speak(self, names: object) -> None:
        """Speak these dialects from now on, none for an empty list. Raises UnknownDialect."""
        self._spoken = self.read(names)

    @property
    def delay(self) -> float:
        return max((each.delay for each in self._spoken), default=0.0)

    @property
    def closes(self) -> bool:
        return any(each.closes for each in self._spoken)

    @property
    def in_chunks(self) -> bool:
        return any(each.in_chunks for each in self._spoken)

    def length(self, body: bytes) -> int:
        """Return the `Content-Length` of an answer in this dialect."""
        if not any(each.counts_letters for each in self._spoken):
            return len(body)
        return len(body.decode(self._encoding, "replace"))

    def say(self, message: bytes) -> bytes:
        """Return a message in the dialect; bytes that are no JSON object keep their content."""
        if not self._spoken:
            return message
        self._said += 1
        if any(each.fields for each in self._spoken) or self._encoding != "utf-8":
            message = self._rewritten(message)
        for each in self._spoken:
            if each.data is not None:
                message = each.data(message)
        return message

    @property
    def _encoding(self) -> str:
        return next((d.encoding for d in self._spoken if d.encoding != "utf-8"), "utf-8")

    def _rewritten(self, message: bytes) -> bytes:
        try:
            fields = json.loads(message)
        except ValueError:
            return message
        if not isinstance(fields, dict):
            return message
        for each in self._spoken:
            if each.fields is not None:
                fields = each.fields(fields, self._said)
        end = b"\n" if message.endswith(b"\n") else b""
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        text = _BARE.sub(r"\1", text).translate(_RAW)
        return text.encode(self._encoding, "replace") + end


def bare(text: str) -> str:
    """Return a value that is written without quotes: `nan`."""
    return f"\ue000{text}\ue000"


def twice(key: str, *values: str) -> str:
    """Return a value for `key` that makes the key come once for each of these texts."""
    first, *others = (f"{_QUOTE}{value}{_QUOTE}" for value in values)
    return bare(first + "".join(f",{_QUOTE}{key}{_QUOTE}:{other}" for other in others))


def padded(_: str, value: Any) -> Any:
    """Write a number of one digit with a zero before it, or as a text with blanks around it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f" {value} "
    short = isinstance(value, str) and len(value) == 1 and value.isdigit()
    return f"0{value}" if short else value


def each_value(node: Any, change: Callable[[str, Any], Any], key: str = "") -> Any:
    """Return a tree with every value that is no container changed; `key` is the nearest key."""
    if isinstance(node, dict):
        return {name: each_value(value, change, name) for name, value in node.items()}
    if isinstance(node, list):
        return [each_value(value, change, key) for value in node]
    return change(key, node)


def doubles(_: str, value: Any) -> Any:
    """Write a whole number as a double: `1` is `1.0`."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def as_text(_: str, value: Any) -> Any:
    """Write a number as a text."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def in_all(change: Callable[[str, Any], Any]) -> Fields:
    """Return a dialect that changes every value of a message."""

    def fields(message: Json, _: int) -> Json:
        changed: Json = each_value(message, change)
        return changed

    return fields


def with_nul(data: bytes) -> bytes:
    """Append a NUL behind the object, before the end of a line."""
    return data[:-1] + b"\0\n" if data.endswith(b"\n") else data + b"\0"
