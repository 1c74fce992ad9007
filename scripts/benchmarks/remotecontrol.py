"""Requests a second to `remotecontrol.do`, beside the same handler behind plain klein and Twisted.

`--against DIR` measures the daemon of this checkout beside that of another one, which has an
environment of its own in `DIR/.venv`.
"""

import argparse
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.internet.defer import execute
from twisted.internet.endpoints import serverFromString
from twisted.web.server import Site as HttpSite

from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure
from scripts.benchmarks.stalled import AUTH, GANTRY, Platform, make_site
from twisted_gantry.core.site import Cabinet
from twisted_gantry.net.http.server import bounded_site
from twisted_gantry.web.remotecontrol.endpoint import (
    Commander,
    RemoteControl,
    RemoteControlSettings,
)
from twisted_gantry.wire.etc.envelope import Method, encode_request, signed_headers
from twisted_gantry.wire.secret import Secret

ROUNDS, REQUESTS, CLIENTS, WARM_UP = 5, 2000, 10, 300
HERE = Path(__file__).parents[2]
PATIENCE_S = 30.0
CONFIG = """
[gantry]
id = "{gantry}"
[[device]]
name = "pc1"
kind = "computer"
[[cabinet]]
id = "1"
[uplink.etc]
url = "http://127.0.0.1:9/monitor.do"
auth = "{auth}"
[web]
listen = "tcp:0:interface=127.0.0.1"
[remotecontrol]
listen = "tcp:{port}:interface=127.0.0.1"
auth = "{auth}"
rate = 0
"""

# A query is checked and looked up; a control is also written to the audit, twice.
Kind = tuple[Method, dict[str, str]]
QUERY: Kind = (Method.CABINET_CONTROL, {"cmd": "10", "cabinetId": "1"})
CONTROL: Kind = (Method.COMPUTER_CONTROL, {"updateNow": "1"})


class _Quiet(HttpSite):
    """Twisted's site without an access log, as ours has none."""

    noisy = False

    def log(self, request: Any) -> None:
        """Do nothing."""


def serve(which: str) -> None:
    """Serve `remotecontrol.do` on a free port and print it: `ours`, or behind `plain` klein."""
    from twisted.internet import reactor

    anyhow: Any = reactor
    with tempfile.TemporaryDirectory(dir=".") as name:
        site = make_site(Path(name), anyhow)
        site.cabinets = (Cabinet("1", {}),)
        control = RemoteControl(
            RemoteControlSettings(listen="", rate=0),
            site,
            [Commander(Secret(AUTH), Platform())],
            clock=anyhow,
            now=time.time,
            in_thread=execute,
        )
        if which == "plain":
            made: Any = _Quiet
            factory = made(control.app.resource())
        else:
            factory = bounded_site(control.resource(), anyhow, control.limits, control.counts)
        listening = serverFromString(anyhow, "tcp:0:interface=127.0.0.1").listen(factory)
        listening.addCallback(lambda port: print(port.getHost().port, flush=True))
        # Its thread would keep the process from ending.
        anyhow.addSystemEventTrigger("before", "shutdown", site.store.close)
        anyhow.run()


@contextmanager
def process(*command: str, root: Path = HERE, **more: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a program with the package of `root` until the block ends."""
    environment = {**os.environ, "PYTHONPATH": str(root)}
    running = subprocess.Popen(command, env=environment, text=True, **more)
    try:
        yield running
    finally:
        running.terminate()
        running.wait()


@contextmanager
def server(which: str) -> Iterator[int]:
    """Run `serve`; yields its port."""
    command = (sys.executable, __file__, "--serve", which)
    with process(*command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        yield int(running.stdout.readline())


@contextmanager
def daemon(root: Path, python: Path) -> Iterator[int]:
    """Run the daemon of the checkout `root`; yields the port of its `remotecontrol.do`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    twistd = str(python.parent / "twistd")
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        (folder / "site.toml").write_text(CONFIG.format(gantry=GANTRY, auth=AUTH, port=port))
        options = ("--nodaemon", "--pidfile=", "--logfile", "log", "gantry", "--config")
        with process(twistd, *options, "site.toml", root=root, cwd=folder):
            ends = time.monotonic() + PATIENCE_S
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    assert time.monotonic() < ends, (folder / "log").read_text()
                    time.sleep(0.1)
            yield port


class Load:
    """`CLIENTS` connections that each send the next request when the last was answered."""

    def __init__(self, port: int, kind: Kind) -> None:
        self._method, self._fields = kind
        self._serial = 0
        self._selector = selectors.DefaultSelector()
        self._clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(CLIENTS)]
        for client in self._clients:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(client, selectors.EVENT_READ)
        self.rate(WARM_UP)

    def _request(self) -> bytes:
        """Return a request whose body is a replay of no other."""
        self._serial += 1
        fields = {**self._fields, "serial": f"{id(self)} {self._serial}"}
        body = encode_request(GANTRY, self._method, time.time(), fields)
        headers = {
            "Host": "gantry",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **signed_headers(body, AUTH),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return b"POST /remotecontrol.do HTTP/1.1\r\n" + head.encode() + b"\r\n" + body

    def rate(self, number: int) -> float:
        """Return how many of `number` requests are answered in a second."""
        requests = [self._request() for _ in range(number)]
        came = dict.fromkeys(self._clients, b"")
        began, answered = time.perf_counter(), 0
        for client in self._clients:
            client.sendall(requests.pop())
        while answered < number:
            for key, _ in self._selector.select():
                reading: Any = key.fileobj
                came[reading] += reading.recv(65_536)
                if not came[reading].endswith((b"}", b"}\r\n0\r\n\r\n")):
                    continue
                assert came[reading].startswith(b"HTTP/1.1 200"), came[reading]
                came[reading] = b""
                answered += 1
                if requests:
                    reading.sendall(requests.pop())
        return number / (time.perf_counter() - began)

    def close(self) -> None:
        """Leave."""
        for client in self._clients:
            client.close()


def medians(ports: dict[str, int], kind: Kind) -> dict[str, float]:
    """Return the median rate at each port, measured in turn."""
    loads = {name: Load(port, kind) for name, port in ports.items()}
    rates: dict[str, list[float]] = {name: [] for name in ports}
    for _ in range(ROUNDS):
        for name, load in loads.items():
            rates[name].append(load.rate(REQUESTS))
    for load in loads.values():
        load.close()
    return {name: statistics.median(each) for name, each in rates.items()}


def compare(ports: dict[str, int], what: str, least: dict[str, float]) -> bool:
    """Print the rates at two ports and their ratios; True if each is at least as it should be."""
    met = True
    for name, kind in (("query", QUERY), ("control", CONTROL)):
        ours, other = found = list(medians(ports, kind).values())
        for each, rate in zip(ports, found, strict=True):
            figure(f"{name}, {each}", rate, "/s")
        met &= bar(f"{name}, to {what}", ours / other, "times", least[name], least=True)
    return met


def work() -> bool:
    """Measure this checkout's server beside plain klein."""
    print(f"remotecontrol: {ROUNDS} rounds of {REQUESTS} requests over {CLIENTS} connections")
    with server("ours") as ours, server("plain") as plain:
        ports = {"ours": ours, "plain klein": plain}
        return compare(ports, "plain klein", {"query": 1.3, "control": 0.9})


def against(root: Path) -> bool:
    """Measure this checkout's daemon beside another's."""
    print(
        f"remotecontrol: {ROUNDS} rounds of {REQUESTS} requests, the daemon beside that of {root}"
    )
    python = root / ".venv/bin/python"
    with daemon(HERE, Path(sys.executable)) as ours, daemon(root, python) as other:
        ports = {"this checkout": ours, "the other": other}
        return compare(ports, "the other checkout", {"query": 0.9, "control": 0.9})


def main() -> bool:
    """Run it in a process of its own."""
    return again("remotecontrol")


def _choose() -> Callable[[], bool | None]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, metavar="DIR")
    parser.add_argument("--serve", choices=("ours", "plain"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return lambda: serve(options.serve)
    return work if options.against is None else lambda: against(options.against.resolve())


if __name__ == "__main__":
    sys.exit(1 if _choose()() is False else 0)
