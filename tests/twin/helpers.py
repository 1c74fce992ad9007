"""What several tests of the twin share: HTTP and JSON sessions in memory, and good messages."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc import reports

NOW = 1_790_000_000.0
GANTRY_ID = "G000211001002110010"
AUTH = "123456"


@dataclass
class Http:
    """One HTTP/1.0 exchange with a factory, over a transport in memory."""

    protocol: Any
    transport: StringTransport

    @property
    def raw(self) -> bytes:
        return bytes(self.transport.value())

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1])

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def close(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


@contextmanager
def mistake(
    owner: object, name: str, monkeypatch: pytest.MonkeyPatch, failures: list[Failure]
) -> Iterator[None]:
    """Let an attribute raise a mistake of ours, which must be logged once."""

    def fail(*_: object) -> None:
        raise RuntimeError("oh, the secret")

    monkeypatch.setattr(owner, name, fail)
    yield
    assert [failure.type for failure in failures] == [RuntimeError]
    failures.clear()


def http(
    factory: IProtocolFactory,
    method: str,
    path: str,
    body: bytes | str | dict[str, Any] = b"",
    headers: dict[str, str] | None = None,
    host: str = "127.0.0.1",
) -> Http:
    if isinstance(body, dict):
        body = json.dumps(body)
    content = body.encode() if isinstance(body, str) else body
    lines = [f"{method} {path} HTTP/1.0", "Host: twin", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    built: Any = factory
    peer = IPv4Address("TCP", host, 1)
    protocol = built.buildProtocol(peer)
    transport = StringTransport(peerAddress=peer)
    protocol.makeConnection(transport)
    protocol.dataReceived("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
    exchange = Http(protocol, transport)
    if transport.disconnecting:
        exchange.close()
    return exchange


def sentinel_cabinet() -> reports.Cabinet:
    missing = etc.Sentinel.NOT_SUPPORT
    return reports.Cabinet(
        id="1",
        elec=(),
        rectifier=(),
        ups=(),
        air_conditioners=(),
        thermohygrometer=reports.filled(reports.Thermohygrometer, missing),
        waterlogging_sensor=reports.filled(reports.Sensor, missing),
        doors=reports.filled(reports.Doors, missing),
        smoke_sensor=reports.filled(reports.Sensor, missing),
        thunder_spd=(),
    )


def report(
    method: etc.Method = etc.Method.COMPUTER_STATUS,
    *,
    fields: Any = None,
    time_stamp: float = NOW,
    gantry_id: str = GANTRY_ID,
) -> bytes:
    """Return the body of a request that a platform takes."""
    if fields is None:
        fields = {
            etc.Method.COMPUTER_STATUS: (
                reports.filled(reports.Computer, etc.Sentinel.NO_DATA, id="1"),
            ),
            etc.Method.CABINET_STATUS: sentinel_cabinet(),
            etc.Method.CARDS: {"curVersion": "0"},
        }[method]
    return etc.encode_request(gantry_id, method, time_stamp, fields)
