"""Reports for `monitor.do`, and what sends them: over many connections, as fast as answers come."""

import os
import selectors
import socket
import time
from collections.abc import Sequence
from itertools import count
from typing import Any

from twisted_gantry.wire.etc.envelope import Method, encode_request, signed_headers

AUTH = "benchmark-of-the-centre"
DONE = b'"code":"1000"'
PATIENCE_S = 60.0


def gantry_ids(number: int) -> tuple[str, ...]:
    return tuple(f"G{each:018d}" for each in range(1, number + 1))


GANTRIES = gantry_ids(200)
_serial = count(int(time.time() * 1000) % 1_000_000_000)


def cabinet(serial: int) -> dict[str, Any]:
    """Return the `cabinetStatus` of a usual cabinet, 1.8 kB; no two have the same measurements."""
    changed = "2026-11-30 10:00:00.000"
    door = {"Closed": "1", "Locked": "1", "UnlockType": "0", "UnlockCardId": "NoData"}
    door |= {"OpenIllegally": "0", "ChangeTime": changed}
    sensor = {"status": "1", "isWarning": "0", "warningChangeTime": changed}
    mains = {"status": "1", "voltage": "221.35", "current": "10.52", "power": "2.32"}
    mains |= {"frequency": "50", "elecConsumption": str(serial), "warningMsg": ""}
    rectifier = {"status": "1", "currentLimiting": "0", "outputVoltage": "53.5"}
    rectifier |= {"outputCurrent": "10.11", "outputPower": "0.54", "warningMsg": ""}
    ups = {"status": "1", "runningState": "1", "inputVoltage": "54.2", "inputCurrent": "0.1"}
    ups |= {"outputVoltage": "54.1", "outputCurrent": "0", "powerRate": "100.00"}
    ups |= {"surplusTime": "240", "remainCapacity": "200", "temperature": "25.31", "warningMsg": ""}
    air = {"status": "1", "errorMsg": "", "isWorking": "1", "workMode": "1"}
    air |= {"systemWarning": "1", "temperatureWarning": "1"}
    doors = {f"{side}Door{key}": value for side in ("front", "back") for key, value in door.items()}
    return {
        "id": "1",
        "elec": [{"id": which, **mains} for which in "12"],
        "rectifier": [{"id": which, **rectifier} for which in "12"],
        "ups": [{"id": "1", **ups}],
        "airConditioners": [{"id": "1", **air}],
        "thermohygrometer": {"status": "1", "temperature": "25.10", "humidity": "41.20"},
        "waterloggingSensor": sensor,
        "doors": {"status": "1", "defendMode": "1", **doors},
        "smokeSensor": sensor,
        "thunderSpd": [{"id": which, "status": "1", "lightningCount": "0"} for which in "123"],
    }


def requests(number: int) -> list[bytes]:
    """Return requests of which no two are the same, from all gantries in turn."""
    return [_request(next(_serial)) for _ in range(number)]


def _request(serial: int) -> bytes:
    gantry = GANTRIES[serial % len(GANTRIES)]
    return request(gantry, Method.CABINET_STATUS, time.time(), cabinet(serial))


def request(gantry: str, method: Method, stamp: float, fields: dict[str, Any]) -> bytes:
    """Return a request as a gantry sends it."""
    body = encode_request(gantry, method, stamp, fields)
    headers = {"Host": "centre", "Content-Length": str(len(body)), **signed_headers(body, AUTH)}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return b"POST /monitor.do HTTP/1.1\r\n" + head.encode() + b"\r\n" + body


class Connections:
    """Keeps `depth` requests in flight on each of `number` connections."""

    def __init__(self, port: int, number: int, depth: int = 1) -> None:
        self._depth = depth
        self._selector = selectors.EpollSelector()
        self._sockets = [_connected(port) for _ in range(number)]
        for each in self._sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            each.setblocking(False)
            self._selector.register(each, selectors.EVENT_READ)
        self._tails = dict.fromkeys(self._sockets, b"")

    def send(self, wanted: Sequence[bytes]) -> float:
        """Send all requests; returns the seconds until the last one was acknowledged."""
        waiting = list(wanted)
        began = time.perf_counter()
        for _ in range(self._depth):
            for each in self._sockets:
                if waiting:
                    each.send(waiting.pop())
        answered, last = 0, began
        while answered < len(wanted):
            found = self._selector.select(1.0)
            now = time.perf_counter()
            last = now if found else last
            assert now - last < PATIENCE_S, f"{answered} of {len(wanted)} acknowledged"
            for key, _ in found:
                answered += self._read(key.fileobj, waiting)
        return time.perf_counter() - began

    def _read(self, peer: Any, waiting: list[bytes]) -> int:
        came = peer.recv(262_144)
        assert came, "the connection was closed"
        data = self._tails[peer] + came
        found: int = data.count(DONE)
        self._tails[peer] = data[data.rfind(DONE) + len(DONE) :][-len(DONE) :] if found else data
        assert len(self._tails[peer]) < 4096, self._tails[peer][:300]
        if found and waiting:
            more = waiting[-found:]
            del waiting[-found:]
            peer.send(more[0] if len(more) == 1 else b"".join(more))
        return found

    def close(self) -> None:
        self._selector.close()
        for each in self._sockets:
            each.close()


def _connected(port: int) -> socket.socket:
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        except ConnectionRefusedError:
            assert time.monotonic() < ends
            time.sleep(0.05)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used with all its threads."""
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
