"""What several tests of the twin share: HTTP and JSON sessions in memory, and good messages."""

import json
from dataclasses import dataclass
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.reports import (
    Cabinet,
    Computer,
    Doors,
    Sensor,
    Thermohygrometer,
    filled,
)

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
        """What the server has written so far."""
        return bytes(self.transport.value())

    @property
    def status(self) -> int:
        """The status of the answer."""
        return int(self.raw.split(b" ", 2)[1])

    @property
    def body(self) -> bytes:
        """The body of the answer."""
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def json(self) -> Any:
        """The body of the answer, decoded."""
        return json.loads(self.body)

    def close(self) -> None:
        """Let the client go."""
        self.protocol.connectionLost(Failure(ConnectionDone()))


def http(
    factory: IProtocolFactory,
    method: str,
    path: str,
    body: bytes | str | dict[str, Any] = b"",
    headers: dict[str, str] | None = None,
) -> Http:
    """Send a request to what `factory` serves."""
    if isinstance(body, dict):
        body = json.dumps(body)
    content = body.encode() if isinstance(body, str) else body
    lines = [f"{method} {path} HTTP/1.0", "Host: twin", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    built: Any = factory
    protocol = built.buildProtocol(None)
    transport = StringTransport()
    protocol.makeConnection(transport)
    protocol.dataReceived("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
    exchange = Http(protocol, transport)
    if transport.disconnecting:
        exchange.close()
    return exchange


def sentinel_cabinet() -> Cabinet:
    """Return a report of a cabinet that has nothing."""
    missing = etc.Sentinel.NOT_SUPPORT
    return Cabinet(
        id="1",
        elec=(),
        rectifier=(),
        ups=(),
        air_conditioners=(),
        thermohygrometer=filled(Thermohygrometer, missing),
        waterlogging_sensor=filled(Sensor, missing),
        doors=filled(Doors, missing),
        smoke_sensor=filled(Sensor, missing),
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
            etc.Method.COMPUTER_STATUS: (filled(Computer, etc.Sentinel.NO_DATA, id="1"),),
            etc.Method.CABINET_STATUS: sentinel_cabinet(),
            etc.Method.CARDS: {"curVersion": "0"},
        }[method]
    return etc.encode_request(gantry_id, method, time_stamp, fields)
