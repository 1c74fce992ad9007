"""A recording as the answers of a device, in their order.

A live request finds its recorded answers by a key of its kind:

- `ups-card`, `ups-card-http`: the `cmd`; the answer repeats the live `session`.
- `cfos`: method, and of the query `cmd device read count write dev_id`.
- `bms`: method and path from `/bms-control` on, of a POST its `command`; the answer repeats the
  live `device_uid`.
- `cabinet`: the `cmd` of a `cabinetControl`, or `updateNow`; and its uploads, see `Recorded`.

Passwords, hosts and longer paths are no part of a key: a recording does not hold them.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from twisted_gantry.net.record import Line, read_recording
from twisted_gantry.wire import bms
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.json import loads, loads_text

# Seconds. An upload within this time of an `updateNow` belongs to it. A request this close to the
# end of the recording may have been answered after the end.
SOON = 10.0
_ESSENTIAL = ("cmd", "device", "read", "count", "write", "dev_id")


class CannotReplay(ValueError):
    """A recording without a device to replay; the text says why."""


@dataclass
class Turn:
    """One request and its answer: `body` after `latency` seconds, None without an answer.

    `echo` is the text of the request that the answer repeats. `later` has what the device then sent
    on its own: the seconds after the request, and the content.
    """

    asked_at: float
    echo: str = ""
    latency: float = 0.0
    status: int = 200
    content_type: str = ""
    body: bytes | None = None
    later: list[tuple[float, bytes]] = field(default_factory=list)

    @property
    def answered(self) -> bool:
        return self.body is not None or bool(self.later)


class Tape:
    def __init__(self, turns: Mapping[str, list[Turn]]) -> None:
        self._turns = turns
        self._at = dict.fromkeys(turns, 0)

    def next(self, key: str) -> Turn | None:
        """Return the next turn of a key, at the end the last answered one; None without any."""
        turns = self._turns.get(key)
        if not turns:
            return None
        at = self._at[key]
        if at < len(turns):
            self._at[key] = at + 1
            return turns[at]
        return next((turn for turn in reversed(turns) if turn.answered), turns[-1])


@dataclass(frozen=True)
class Rule:
    """The `key` of a request, empty for others, and its `echo`, repeated in the field `echoed`."""

    key: Callable[[str, str, bytes], str]
    echoed: str = ""
    echo: Callable[[str, bytes], str] = lambda target, body: ""

    def fit(self, body: bytes, recorded: str, live: str) -> bytes:
        if not recorded or not self.echoed:
            return body
        mark = re.compile(
            rb"((?<![0-9A-Za-z_])"
            + self.echoed.encode()
            + rb"""\s{0,9}["']?\s{0,9}:\s{0,9}["']?)"""
            + re.escape(_inside(recorded))
            + rb"(?![0-9A-Za-z_])"
        )
        return mark.sub(lambda match: match[1] + _inside(live), body)


def _inside(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "replace")


def object_of(body: bytes) -> dict[str, Any]:
    try:
        fields = loads_text(body)
    except WireError:
        return {}
    return fields if isinstance(fields, dict) else {}


def text_of(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""


def _query(target: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))


def _upscard_key(method: str, target: str, body: bytes) -> str:
    return text_of(object_of(body), "cmd").removesuffix("()")


def _cfos_key(method: str, target: str, body: bytes) -> str:
    query = _query(target)
    given = [f"{name}={query[name].strip(chr(34))}" for name in _ESSENTIAL if name in query]
    return " ".join([method, *given]) if given else ""


def _bms_key(method: str, target: str, body: bytes) -> str:
    path = urlsplit(target).path
    at = path.rfind(bms.CONTROL_PATH)
    command = text_of(_bms_fields(body), "command")
    return f"{method} {path[at:]} {command}".strip() if at >= 0 else ""


def _bms_fields(body: bytes) -> dict[str, Any]:
    fields = object_of(body) if body else {}
    inner = fields.get(bms.WRAPPER)
    return inner if isinstance(inner, dict) else fields


def _bms_echo(target: str, body: bytes) -> str:
    return _query(target).get("device_uid", "") or text_of(_bms_fields(body), "device_uid")


def _cabinet_key(method: str, target: str, body: bytes) -> str:
    fields = object_of(body)
    named = text_of(fields, "method")
    control = fields.get(named)
    if not isinstance(control, dict):
        return named
    cmd = text_of(control, "cmd")
    return f"{named} {UPDATE_NOW}" if "updateNow" in control and not cmd else f"{named} {cmd}"


UPDATE_NOW = "updateNow"
_UPSCARD = Rule(_upscard_key, "session", lambda target, body: text_of(object_of(body), "session"))
RULES: Mapping[str, Rule] = {
    "ups-card": _UPSCARD,
    "ups-card-http": _UPSCARD,
    "cfos": Rule(_cfos_key),
    "bms": Rule(_bms_key, "device_uid", _bms_echo),
    "cabinet": Rule(_cabinet_key),
}  # the rules of the kinds that can be replayed


@dataclass(frozen=True)
class Recorded:
    """One device; `uploads` are unasked: the seconds after its first line, and the content."""

    device: str
    kind: str
    tape: Tape
    uploads: tuple[tuple[float, bytes], ...] = ()


def read_device(path: Path, device: str = "") -> Recorded:
    """Read one device. Blocks on the disk. Raises BrokenRecording, CannotReplay, OSError."""
    lines: list[Line] = []
    kinds: dict[str, str] = {}
    for line in read_recording(path):
        if line.kind in RULES and kinds.setdefault(line.device, line.kind) != line.kind:
            raise CannotReplay(f"{line.device} is of two kinds")
        if line.kind in RULES and device in {"", line.device}:
            lines.append(line)
    names = ", ".join(sorted(kinds)) or "none"
    if device and device not in kinds:
        raise CannotReplay(f"no {device!r} that can be replayed; there is {names}")
    if not device and len(kinds) != 1:
        raise CannotReplay(f"one device must be named, of {names}")
    [(name, kind)] = [(device, kinds[device])] if device else kinds.items()
    return _Reader(name, kind).read(lines)


class _Reader:
    def __init__(self, device: str, kind: str) -> None:
        self._device, self._kind, self._rule = device, kind, RULES[kind]
        self._turns: dict[str, list[Turn]] = {}
        self._open: dict[int, Turn] = {}  # by its exchange
        self._by_echo: dict[str, Turn] = {}
        self._last: Turn | None = None
        self._asked_for: Turn | None = None  # the last updateNow, until its upload comes
        self._uploads: list[tuple[float, bytes]] = []

    def read(self, lines: Iterable[Line]) -> Recorded:
        began = ended = None
        for line in lines:
            began, ended = line.t if began is None else began, line.t
            if line.way == "out":
                self._ask(line)
            elif line.via == "http":
                self._answer(line)
            elif self._kind == "cabinet":
                self._upload(line, began)
            else:
                self._reply(line)
        for turns in self._turns.values():
            while turns and not turns[-1].answered and turns[-1].asked_at > (ended or 0) - SOON:
                turns.pop()
        return Recorded(self._device, self._kind, Tape(self._turns), tuple(self._uploads))

    def _ask(self, line: Line) -> None:
        key = self._rule.key(line.method, line.target, line.data)
        if not key:
            return
        turn = Turn(line.t, self._rule.echo(line.target, line.data))
        self._turns.setdefault(key, []).append(turn)
        self._open[line.exchange] = self._last = turn
        self._by_echo[turn.echo] = turn
        if key.endswith(f" {UPDATE_NOW}"):
            self._asked_for = turn

    def _answer(self, line: Line) -> None:
        turn = self._open.pop(line.exchange, None)
        if turn is None or line.error:
            return
        turn.latency, turn.body = line.t - turn.asked_at, line.data
        turn.status, turn.content_type = line.status, line.headers.get("content-type", "")

    def _reply(self, line: Line) -> None:
        """Take a result of a UPS card; an error without a session belongs to the last command."""
        session = text_of(object_of(line.data), "session")
        turn = self._by_echo.get(session) if session else self._last
        if turn is None:
            return
        if line.via == "callback":
            turn.later.append((line.t - turn.asked_at, line.data))
        elif turn.body is None:
            turn.latency, turn.body = line.t - turn.asked_at, line.data

    def _upload(self, line: Line, began: float) -> None:
        turn = self._asked_for
        if turn is not None and line.t - turn.asked_at <= SOON:
            turn.later.append((line.t - turn.asked_at, line.data))
            self._asked_for = None
        else:
            self._uploads.append((line.t - began, line.data))


def upload_fields(data: bytes) -> Any:
    """Return the fields of a recorded upload, None for other data."""
    try:
        fields = loads(data)
    except WireError:
        return None
    key = etc.FIELDS_KEY[etc.Method.CABINET_STATUS]
    return fields.get(key) if isinstance(fields, dict) else None
