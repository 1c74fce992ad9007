"""A real gantry in a process of its own, with a probe that tells how long its reactor was held.

Run as a program it is that process: `python -m scripts.benchmarks.watched CONFIG FOLDER PROBE`.
"""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

TICK = 0.002  # seconds between two looks of the probe
START_S = 30.0


class Probe:
    """The longest hold since the last question, in ms: CPU time of one turn of the reactor. CPU
    time does not grow while another process has the core.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor, self._last, self._longest = reactor, time.thread_time(), 0.0
        self._tick()

    def _tick(self) -> None:
        now = time.thread_time()
        self._longest = max(self._longest, now - self._last)
        self._last = now
        self._reactor.callLater(TICK, self._tick)

    def take(self) -> bytes:
        longest, self._longest = self._longest, 0.0
        return json.dumps(longest * 1000).encode()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class WatchedGantry:
    """Starts a gantry with the configuration `text` in `folder`, and ends it."""

    def __init__(self, folder: Path, text: str) -> None:
        self._probe = free_port()
        (folder / "site.toml").write_text(text)
        arguments = [str(folder / "site.toml"), str(folder / "data"), str(self._probe)]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scripts.benchmarks.watched", *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        for _ in range(int(START_S / 0.1)):
            try:
                self.longest_hold()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError((folder / "log").read_text()[-2000:])

    def longest_hold(self) -> float:
        """Return the longest hold since the last call, in ms."""
        with socket.create_connection(("127.0.0.1", self._probe), timeout=30) as sock:
            return float(json.loads(sock.makefile().read()))

    def resident(self) -> float:
        """Return the resident memory in MiB."""
        return float(psutil.Process(self._process.pid).memory_info().rss) / 2**20

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


def serve(config: Path, folder: Path, probe: int) -> None:
    """Run the gantry, and the probe."""
    from twisted.internet import reactor as loop
    from twisted.internet.endpoints import TCP4ServerEndpoint
    from twisted.internet.protocol import Factory, Protocol

    from twisted_gantry.config.load import load_file
    from twisted_gantry.daemon.service import Gantry
    from twisted_gantry.net.clock import make_monotonic

    reactor: Any = loop
    make_monotonic(reactor)

    def read() -> Any:
        return load_file(config)

    gantry = Gantry(read(), folder, reactor, demo=False, daemon=False, read=read)

    def begin() -> None:
        gantry.startService()
        watch = Probe(reactor)

        class Told(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(watch.take())
                self.transport.loseConnection()

        factory = Factory.forProtocol(Told)
        factory.noisy = False
        TCP4ServerEndpoint(reactor, probe, interface="127.0.0.1").listen(factory)

    reactor.callWhenRunning(begin)
    reactor.addSystemEventTrigger("before", "shutdown", gantry.stopService)
    reactor.run()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
