"""Load for a Fogslink cloud, in a process of its own: many devices on bare sockets and epoll, so
that the load takes less than the server.

usage: fogslink_load.py PORT heartbeats|packs|sessions CONNECTIONS SECONDS
"""

import json
import select
import socket
import sys
import time
from collections.abc import Callable
from itertools import count

from twisted_gantry.net.open_files import open_files
from twisted_gantry.wire.fogslink.messages import (
    Authenticate,
    Heartbeat,
    Identify,
    Item,
    Pack,
    encode,
)

API_KEY = "1234567890123456"
ITEMS, DEPTH = 50, 32
"""Items of a pack, and packs of one device that are in flight."""
BEAT_S = 3.0  # a gantry's own period
WARM_S = 1.0
PATIENCE_S = 2.0
_MARK = "@packID@"
_READ = 256 * 1024


def eq_sn(number: int) -> str:
    return str(10_000_000 + number)


class Device:
    """A device that has logged in; `beat` is its heartbeat."""

    def __init__(self, port: int, number: int) -> None:
        self.name = eq_sn(number)
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = self.asks(encode(Identify(eq_sn=self.name)))["res001"]["tKey"]
        answer = self.asks(encode(Authenticate(eq_sn=self.name, api_key=API_KEY)))
        if answer["res002"]["code"] != "0":
            raise ConnectionError(f"no login: {answer}")
        self.beat = encode(Heartbeat(eq_sn=self.name, t_key=key))
        self.before = b""

    def asks(self, line: bytes) -> dict[str, dict[str, str]]:
        self.socket.sendall(line)
        answer: dict[str, dict[str, str]] = json.loads(self.socket.recv(4096))
        return answer


class Load:
    """All devices, and what was counted."""

    def __init__(self, port: int, connections: int) -> None:
        self.port, self.devices = port, [Device(port, 0)]
        self.answers = self.lost = self.beats = 0
        self.ids = count(int(time.time() * 1000))
        items = tuple(Item(e_chan=f"P0-C{n}", e_val=f"{220 + n / 10:.1f}") for n in range(ITEMS))
        line = encode(Pack(eq_sn="@", pack_id=_MARK, total_size=ITEMS, eq_data=items))
        self.before, self.behind = line.split(_MARK.encode())
        self._beaten, self._beat_at = 0, time.perf_counter()
        for number in range(1, connections):
            if number == connections // 2:
                print("half", flush=True)  # what was free in the server is used by now
                input()
            self.devices.append(Device(port, number))
            self._beat_meanwhile()
        for each in self.devices:
            each.before = self.before.replace(b"@", each.name.encode())

    def _beat_meanwhile(self) -> None:
        """Let no device fall silent while others connect; the answers are read later."""
        devices, now = self.devices, time.perf_counter()
        due = int((now - self._beat_at) * len(devices) / BEAT_S)
        if due:
            self._beat_at = now
        for _ in range(min(due, len(devices))):
            self._beaten = (self._beaten + 1) % len(devices)  # in turn, however many they become
            devices[self._beaten].socket.sendall(devices[self._beaten].beat)
            self.beats += 1

    def packs(self, device: Device, number: int) -> bytes:
        before, behind, ids = device.before, self.behind, self.ids
        return b"".join([b"%b%d%b" % (before, next(ids), behind) for _ in range(number)])

    def run(self, seconds: float, answered: Callable[[Device, int], bytes], good: bytes) -> None:
        """Answer answers for a while. Each read must have `good`."""
        poll = select.epoll()
        by_fd = {each.socket.fileno(): each for each in self.devices}
        for fd in by_fd:
            poll.register(fd, select.EPOLLIN)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            for fd, _ in poll.poll(0.1):
                device = by_fd[fd]
                data = device.socket.recv(_READ)
                if good not in data:
                    raise ConnectionError(f"an odd answer: {data[:200]!r}")
                number = data.count(b"\n")
                self.answers += number
                if number:
                    device.socket.sendall(answered(device, number))

    def beat_for(self, seconds: float) -> None:
        """Let each device beat once in BEAT_S seconds, spread evenly."""
        began, devices = time.perf_counter(), self.devices
        poll = select.epoll()
        for each in devices:
            poll.register(each.socket.fileno(), select.EPOLLIN)
        by_fd = {each.socket.fileno(): each for each in devices}
        sent, total = 0, round(seconds * len(devices) / BEAT_S)
        while sent < total or (self.answers < self.beats and not self._is_over(began + seconds)):
            due = min(total, int((time.perf_counter() - began) * len(devices) / BEAT_S))
            for number in range(sent, due):
                devices[number % len(devices)].socket.sendall(devices[number % len(devices)].beat)
            self.beats += max(0, due - sent)
            sent = max(sent, due)
            for fd, _ in poll.poll(0.001, 1000):
                data = by_fd[fd].socket.recv(4096)
                self.answers += data.count(b"\n")
                if not data:
                    poll.unregister(fd)
                    self.lost += 1

    def _is_over(self, until: float) -> bool:
        """Tell whether the last answers have been waited for long enough."""
        return time.perf_counter() > until + PATIENCE_S


def main(port: int, kind: str, connections: int, seconds: float) -> None:
    open_files(connections + 100)
    load = Load(port, connections)
    print("up", flush=True)
    load.beat_for(BEAT_S)  # reads the answers of the ramp, too
    if kind == "sessions":
        work: Callable[[float], None] = load.beat_for
    elif kind == "packs":
        for each in load.devices:
            each.socket.sendall(load.packs(each, DEPTH))

        def work(seconds: float) -> None:
            load.run(seconds, load.packs, b'"8"')

        work(WARM_S)
    else:
        for each in load.devices:
            each.socket.sendall(each.beat)

        def work(seconds: float) -> None:
            load.run(seconds, lambda device, _: device.beat, b'"0"')

        work(WARM_S)
    before, began = load.answers, time.perf_counter()
    print("began", flush=True)
    work(seconds)
    took = time.perf_counter() - began
    print(json.dumps({"rate": (load.answers - before) / took, "lost": load.lost}), flush=True)


if __name__ == "__main__":
    _, port, kind, connections, seconds = sys.argv
    main(int(port), kind, int(connections), float(seconds))
