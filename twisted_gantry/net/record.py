"""A recording: the traffic with devices as lines of JSON, and taps on connections.

The first line is a `Header`, each other one a `Line`. Nothing here knows a protocol: a `Witness`
gets the bytes, and knows their meaning and what must not be kept.
"""

import binascii
from base64 import b64decode
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.net.http.client import Answer, BoundedClient

_log = Logger()

FORMAT = 1
MAX_LINE = 4 * 1024 * 1024
"""Bytes of a line: the longest answer of a device, with every byte escaped."""

Way = Literal["out", "in"]
Via = Literal["tcp", "http", "callback"]


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line of each part of a recording.

    `gantry_recording` is the format, `version` that of the program. All parts of one run have the
    same `recording`; `part` counts them from 1. `at` is RFC 3339. Identifiers are replaced by means
    of a key that is stored nowhere.
    """

    gantry_recording: int
    version: str
    recording: str
    part: int
    at: str


class Line(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """One message or chunk, seen from the gantry: `out` is to the device.

    `t` is seconds since the start, monotonic; `at` the time of day, RFC 3339. The content is in
    `text` if it is UTF-8, else in `base64`. Over TCP, `skipped` bytes before the message were none.
    Over HTTP a request and its answer have the same `exchange`; `target` is path and query;
    `error` is the reason for a missing answer. For a callback `target` is the path.
    """

    t: float
    at: str
    device: str
    kind: str
    way: Way
    via: Via
    exchange: int = 0
    method: str = ""
    target: str = ""
    status: int = 0
    headers: dict[str, str] = {}
    text: str | None = None
    base64: str | None = None
    skipped: int = 0
    error: str = ""

    @property
    def data(self) -> bytes:
        """The content; identifiers and secrets are replaced."""
        if self.base64 is not None:
            return b64decode(self.base64)
        return (self.text or "").encode()

    def __post_init__(self) -> None:
        if self.text is not None and self.base64 is not None:
            raise ValueError("both text and base64")
        if self.base64 is not None:
            try:
                b64decode(self.base64, validate=True)
            except binascii.Error:
                raise ValueError("base64 that is none") from None
        if self.t < 0:
            raise ValueError("t is before the start")
        if self.via == "http" and not self.exchange:
            raise ValueError("an HTTP message without its exchange")


class BrokenRecording(Exception):
    """A file that is not a recording; `line` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line


_header = msgspec.json.Decoder(Header)
_line = msgspec.json.Decoder(Line)


def read_recording(path: Path) -> Iterator[Line]:
    """Yield the lines of a recording; a file may hold several parts of one recording.

    Blocks on the disk. Raises BrokenRecording, OSError.
    """
    recording, last = "", 0.0
    with path.open("rb") as file:
        for number in count(1):
            raw = file.readline(MAX_LINE + 1)
            if not raw and number > 1:
                return
            if len(raw) > MAX_LINE:
                raise BrokenRecording(number, f"more than {MAX_LINE} bytes")
            try:
                if number == 1 or raw.startswith(b'{"gantry_recording"'):
                    recording = _same(_header.decode(raw), recording)
                    continue
                line = _line.decode(raw)
            except (ValueError, RecursionError) as error:
                raise BrokenRecording(number, str(error)[:200]) from None
            if line.t < last:
                raise BrokenRecording(number, "goes back in time")
            last = line.t
            yield line


def _same(header: Header, recording: str) -> str:
    if header.gantry_recording != FORMAT:
        raise ValueError(f"format {header.gantry_recording}; this program reads {FORMAT}")
    if recording and header.recording != recording:
        raise ValueError("a part of another recording")
    return header.recording


class Witness(Protocol):
    """Gets the traffic from a tap; its errors do not reach the connection."""

    def passed(self, link: int, way: Way, data: bytes) -> None:
        """Take bytes that passed on the TCP connection `link`."""

    def link_lost(self, link: int) -> None: ...

    def asked(self, exchange: int, method: str, url: str, body: bytes) -> None: ...

    def answered(self, exchange: int, answer: Answer | None, error: str) -> None:
        """Take the answer, or None and the reason for its absence."""


class Quietly:
    """Calls a witness; its errors harm no connection: all are counted, the first is logged."""

    def __init__(self) -> None:
        self.failures = 0

    def __call__(self, tell: Callable[..., None], *args: Any) -> None:
        try:
            tell(*args)
        except Exception:
            if not self.failures:
                _log.failure("what passed could not be recorded")
            self.failures += 1


class _Tapped(ProtocolWrapper):
    factory: "_TappedFactory"

    def __init__(self, factory: "_TappedFactory", wrapped: IProtocol) -> None:
        given: Any = factory
        super().__init__(given, wrapped)
        self._link = next(factory.links)
        self._witness, self._quietly = factory.witness, factory.quietly

    def write(self, data: bytes) -> None:
        self._quietly(self._witness.passed, self._link, "out", data)
        super().write(data)  # type: ignore[no-untyped-call]

    def writeSequence(self, data: Any) -> None:  # noqa: N802 - ITransport's
        self.write(b"".join(data))

    def dataReceived(self, data: bytes) -> None:
        self._quietly(self._witness.passed, self._link, "in", data)
        super().dataReceived(data)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._quietly(self._witness.link_lost, self._link)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]


class _TappedFactory(WrappingFactory):
    noisy = False
    protocol = _Tapped

    def __init__(
        self, wrapped: IProtocolFactory, witness: Witness, links: Iterator[int], quietly: Quietly
    ) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self.witness, self.links, self.quietly = witness, links, quietly

    def buildProtocol(self, addr: IAddress | None) -> Any:
        protocol = self.wrappedFactory.buildProtocol(addr)
        return None if protocol is None else _Tapped(self, protocol)


@implementer(IStreamClientEndpoint)
class TappedEndpoint:
    def __init__(self, endpoint: IStreamClientEndpoint, witness: Witness) -> None:
        self._endpoint, self._witness = endpoint, witness
        self._links, self._quietly = count(1), Quietly()

    def __repr__(self) -> str:
        # ClientService logs it.
        return repr(self._endpoint)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        tapped: Any = _TappedFactory(protocolFactory, self._witness, self._links, self._quietly)
        connecting: Deferred[Any] = self._endpoint.connect(tapped)
        return connecting.addCallback(lambda tap: tap.wrappedProtocol)


class TappedClient(BoundedClient):
    def __init__(self, client: BoundedClient, witness: Witness) -> None:
        self._inner, self._witness = client, witness
        self._exchanges, self._quietly = count(1), Quietly()

    def request(self, method: str, url: str, **more: Any) -> Deferred[Answer]:
        """Send a request as BoundedClient does; the witness does not get the headers."""
        exchange, body = next(self._exchanges), more.get("body")
        told = body if isinstance(body, bytes) else b""
        self._quietly(self._witness.asked, exchange, method, url, told)
        answer = self._inner.request(method, url, **more)

        def note(result: Answer | Failure) -> Answer | Failure:
            if isinstance(result, Failure):
                why = result.getErrorMessage() or type(result.value).__name__
                self._quietly(self._witness.answered, exchange, None, why)
            else:
                self._quietly(self._witness.answered, exchange, result, "")
            return result

        return answer.addBoth(note)
