"""`[record]`: every exchange with devices as lines of JSON, without secrets and identifiers.

`net/record.py` has the format, `masks.py` the masking, `spool.py` the files. A `Tap` records one
device, one frame of its protocol a line.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from zope.interface import implementer

from twisted_gantry.core.interfaces import ITap
from twisted_gantry.net import record
from twisted_gantry.net.http.client import Answer, BoundedClient
from twisted_gantry.net.record import Line, Via, Way
from twisted_gantry.net.service import NamedService
from twisted_gantry.recording.masks import Masks
from twisted_gantry.recording.pseudonyms import Pseudonyms
from twisted_gantry.recording.spool import PartFiles, Spool
from twisted_gantry.wire.errors import FrameTooLong
from twisted_gantry.wire.etc.envelope import FIELDS_KEY, Method
from twisted_gantry.wire.frames import ObjectFramer
from twisted_gantry.wire.secret import Secret

# Kinds with JSON objects as messages over TCP; for other kinds each read is a line.
_OF_OBJECTS = frozenset({"ups-card"})
# Settings that identify a device or a site, of any kind of device.
_IDENTIFYING = ("device_uid", "gantry_id", "eq_sn", "uid")
_ENDPOINT = re.compile(r"(?:tcp6?|ssl|tls):(?:host=)?((?:\\.|[^:\\])+)")
_KEPT_HEADERS = ("content-type",)
_MIB = 1024 * 1024


class RecordSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[record]`: `folder` is absolute or below the data folder; empty: nothing is recorded.

    `max_size` is the size of all files together, in bytes. `devices` names the devices to record;
    empty: all.
    """

    folder: str = ""
    max_size: Annotated[int, msgspec.Meta(ge=4 * _MIB, le=1024 * 1024 * _MIB)] = 128 * _MIB
    devices: list[str] = []


def secrets_of(settings: Any) -> Iterator[str]:
    """Yield the secrets in the settings of a device, and the last word of each (`Bearer 1234`).

    User and password are yielded as HTTP Basic sends them too: an error page may quote them.
    """
    user, password = getattr(settings, "user", None), getattr(settings, "password", None)
    if isinstance(user, str) and isinstance(password, Secret):
        yield b64encode(f"{user}:{password.reveal()}".encode()).decode()
    for value in _values(settings):
        if isinstance(value, Secret):
            text = value.reveal()
            yield text
            yield from text.split()[-1:]


def identifiers_of(settings: Any) -> Iterator[str]:
    """Yield the numbers and host names that identify a device or its place in its settings."""
    for name in _IDENTIFYING:
        value = getattr(settings, name, "")
        if value and isinstance(value, str):
            yield value
    for value in _values(settings):
        if isinstance(value, str):
            yield from _hosts(value)


def _values(node: Any) -> Iterator[Any]:
    if isinstance(node, msgspec.Struct):
        for name in node.__struct_fields__:
            yield from _values(getattr(node, name))
    elif isinstance(node, dict):
        for value in node.values():
            yield from _values(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _values(value)
    else:
        yield node


def _hosts(text: str) -> Iterator[str]:
    """Yield the host of a URL or of an endpoint, except this machine."""
    try:
        host = urlsplit(text).hostname if "://" in text else None
    except ValueError:
        return
    endpoint = _ENDPOINT.match(text)
    if endpoint is not None and host is None:
        host = re.sub(r"\\(.)", r"\1", endpoint[1])
    if host and host not in {"localhost", "127.0.0.1", "::1"}:
        yield host


class Recording(NamedService):
    """Records devices until it stops. One run is one recording, in one or several files.

    `clock` gives monotonic time, `now` Unix seconds; `in_thread(f, …)` runs a blocking function.
    `key` is at least 16 random bytes, new in each run: the pseudonyms derive from it. `failing`
    and `counts` are those of `Spool`.
    """

    def __init__(
        self,
        settings: RecordSettings,
        folder: Path,
        version: str,
        clock: IReactorTime,
        now: Callable[[], float],
        in_thread: Callable[..., Deferred[Any]],
        key: bytes,
        failing: Callable[[str | None], None],
    ) -> None:
        super().__init__("record")
        self._settings, self._version = settings, version
        self._clock, self._now = clock, now
        self._began = clock.seconds()
        self._pseudonyms = Pseudonyms(key)
        self._id = self._pseudonyms.of("00000000")
        place = folder / settings.folder
        files = PartFiles(place, settings.max_size, self._stamp, self._header)
        self._spool = Spool(files, clock, in_thread, failing)
        self.counts = self._spool.counts

    def tap(self, name: str, kind: str, settings: Any, gantry_id: str) -> "Tap | None":
        """Return the tap of a device; None if the device is not to be recorded."""
        wanted = self._settings.devices
        if wanted and name not in wanted:
            return None
        identifiers = {gantry_id, *identifiers_of(settings)}
        masks = Masks(self._pseudonyms, kind, secrets_of(settings), identifiers)
        return Tap(self, name, kind, masks)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return self._spool.stop()

    def write(self, device: str, kind: str, way: Way, via: Via, **more: Any) -> None:
        """Add a line to the recording; `more` are further fields of `Line`."""
        t = round(self._clock.seconds() - self._began, 3)
        line = Line(t=t, at=self._moment(), device=device, kind=kind, way=way, via=via, **more)
        self._spool.put(msgspec.json.encode(line) + b"\n")

    def _header(self, part: int) -> bytes:
        header = record.Header(
            gantry_recording=record.FORMAT,
            version=self._version,
            recording=self._id,
            part=part,
            at=self._moment(),
        )
        return msgspec.json.encode(header) + b"\n"

    def _moment(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds")

    def _stamp(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).strftime("%Y%m%dT%H%M%S")


@implementer(ITap)
class Tap:
    """Records one device: wraps its endpoint and client, and writes all that passes."""

    def __init__(self, recording: Recording, device: str, kind: str, masks: Masks) -> None:
        self._recording, self._device, self._kind = recording, device, kind
        self._masks = masks
        self._framers: dict[tuple[int, Way], ObjectFramer] = {}
        self._skipped: dict[tuple[int, Way], int] = {}
        self._asked: dict[int, str] = {}
        self._quietly = record.Quietly()

    def endpoint(self, endpoint: IStreamClientEndpoint) -> IStreamClientEndpoint:
        return record.TappedEndpoint(endpoint, self)

    def client(self, client: BoundedClient) -> BoundedClient:
        return record.TappedClient(client, self)

    def receiver(self, url: str, receiver: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
        """Return a receiver of callbacks at `url` that records those that the device sent.

        A callback is recorded after the messages it caused: only `receiver` knows its device.
        """
        path = urlsplit(url).path or "/"

        def receive(body: bytes) -> bool:
            taken = receiver(body)
            if taken:
                self._quietly(lambda: self._write("in", "callback", body, target=path))
            return taken

        return receive

    def uploaded(self, fields: Any) -> None:
        self._quietly(self._uploaded, fields)

    # -- what passes

    def passed(self, link: int, way: Way, data: bytes) -> None:
        """Record bytes of a TCP connection, one JSON object a line if the kind sends objects."""
        if self._kind not in _OF_OBJECTS:
            self._write(way, "tcp", data)
            return
        if way == "out":  # one command at a time: an unfinished answer is given up
            self._reset(link, "in")
        framer = self._framers.setdefault((link, way), ObjectFramer())
        try:
            for frame in framer.feed(data):
                skipped = framer.skipped - self._skipped.get((link, way), 0)
                self._skipped[link, way] = framer.skipped
                self._write(way, "tcp", frame, skipped=skipped)
        except FrameTooLong:
            self._reset(link, way)

    def link_lost(self, link: int) -> None:
        for way in ("out", "in"):
            self._framers.pop((link, way), None)
            self._skipped.pop((link, way), None)

    def asked(self, exchange: int, method: str, url: str, body: bytes) -> None:
        """Record an HTTP request, not its headers: they hold secrets and a digest of the body."""
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._asked[exchange] = target
        more = {"exchange": exchange, "method": method, "target": self._masks.target(target)}
        self._write("out", "http", body, target, **more)

    def answered(self, exchange: int, answer: Answer | None, error: str) -> None:
        target = self._asked.pop(exchange, "")
        if answer is None:
            words = self._masks.words(error)
            self._recording.write(
                self._device, self._kind, "in", "http", exchange=exchange, error=words
            )
            return
        kept = [name for name in _KEPT_HEADERS if name in answer.headers]
        headers = {name: self._masks.words(answer.headers[name]) for name in kept}
        more = {"exchange": exchange, "status": answer.status, "headers": headers}
        self._write("in", "http", answer.body, target, **more)

    def _uploaded(self, fields: Any) -> None:
        method = Method.CABINET_STATUS
        body = msgspec.json.encode({"method": method.value, FIELDS_KEY[method]: fields})
        self._write("in", "callback", body, target="/monitor.do")

    def _reset(self, link: int, way: Way) -> None:
        framer = self._framers.get((link, way))
        if framer is not None:
            self._skipped[link, way] = self._skipped.get((link, way), 0) - len(framer.reset())

    def _write(self, way: Way, via: Via, data: bytes, asked: str = "", **more: Any) -> None:
        """Write a line; `asked` is the target of its HTTP exchange."""
        root, registers = _root(asked) if self._kind == "cfos" else ("", None)
        if registers is not None:
            listed = self._masks.registers(data.decode("utf-8", "replace"), registers)
            data = data if listed is None else listed.encode()
        masked, raw = self._masks.content(data, ours=way == "out", root=root)
        self._recording.write(self._device, self._kind, way, via, text=masked, base64=raw, **more)


def _root(asked: str) -> tuple[str, int | None]:
    """Return the subject of a cFos call, and the first register that its answer may list."""
    query = parse_qs(urlsplit(asked).query)
    cmd = query.get("cmd", [""])[-1].strip('"').lower()
    if cmd != "modbus":
        return cmd, None
    read = query.get("read", [""])[-1].lower()
    number = re.match(r"[0-9]{1,6}", read)
    return read, int(number[0]) if number is not None and "count" in query else None
