"""The NUT server, asked as upsc and upsmon ask, beside Debian's `upsd` with a simulated UPS."""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure, on_reactor
from twisted_gantry.twin.service import ON_FREE_PORTS, TwinSettings, build_twin

SETTLE, ASKED, PROGRAMS = 8.0, 2000, 100
TWISTD = str(Path(sys.executable).parent / "twistd")
DUMMY, UPSD = Path("/lib/nut/dummy-ups"), Path("/lib/nut/upsd")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def config(ups: int, nut: int) -> str:
    return f"""
[gantry]
id = "G000211001002110010"
[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:127.0.0.1:{ups}"
[web]
listen = "tcp:0:interface=127.0.0.1"
[bridge.nut]
listen = "tcp:{nut}:interface=127.0.0.1"
"""


def reference(folder: Path, port: int, variables: str) -> list[subprocess.Popen[bytes]]:
    """Start `upsd` and a driver that shows `variables`, the output of upsc."""
    (folder / "ups.dev").write_text(variables)
    (folder / "ups.conf").write_text(f"[ups1]\ndriver = dummy-ups\nport = {folder}/ups.dev\n")
    (folder / "upsd.conf").write_text(f"LISTEN 127.0.0.1 {port}\nSTATEPATH {folder}\n")
    (folder / "upsd.users").write_text("")
    env = {**os.environ, "NUT_CONFPATH": str(folder), "NUT_STATEPATH": str(folder)}
    env |= {"NUT_ALTPIDPATH": str(folder)}
    quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": env}
    driver = subprocess.Popen([DUMMY, "-a", "ups1", "-D", "-u", "root"], **quiet)
    time.sleep(1)
    return [driver, subprocess.Popen([UPSD, "-D", "-u", "root"], **quiet)]


def asked(port: int, request: bytes, last: bytes) -> list[float]:
    """Return the seconds of each of `ASKED` requests of one session, an answer ends with `last`."""
    seconds = []
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(ASKED):
            began, got = time.perf_counter(), b""
            connection.sendall(request)
            while not got.endswith(last):
                more = connection.recv(65536)
                assert more, got
                got += more
            seconds.append(time.perf_counter() - began)
    return seconds


def programs(port: int) -> list[float]:
    """Return the seconds of each run of `upsc`, from its start to its end."""
    seconds = []
    for _ in range(PROGRAMS):
        began = time.perf_counter()
        command = ["upsc", f"ups1@127.0.0.1:{port}"]
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return seconds


def measure(port: int) -> tuple[float, float, float]:
    """Return medians in ms: one variable, the list of all, a whole `upsc`."""
    one = asked(port, b"GET VAR ups1 ups.status\n", b'"\n')
    whole = asked(port, b"LIST VAR ups1\n", b"END LIST VAR ups1\n")
    return tuple(statistics.median(each) * 1e3 for each in (one, whole, programs(port)))  # type: ignore[return-value]


async def work(reactor: Any) -> bool:
    print(f"nut: {ASKED} requests of each kind in a session, {PROGRAMS} runs of upsc")
    twin = build_twin(TwinSettings(**ON_FREE_PORTS), reactor, time.time)
    twin.startService()
    running: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory() as name:
        folder, ours, theirs = Path(name), free_port(), free_port()
        (folder / "site.toml").write_text(config(twin.port("ups-tcp"), ours))
        common = [TWISTD, "--nodaemon", "--pidfile=", "--logfile", "/dev/null"]
        running.append(subprocess.Popen([*common, "gantry", "--config", "site.toml"], cwd=folder))
        try:
            await deferLater(reactor, SETTLE)
            shown = await deferToThread(
                subprocess.run,
                ["upsc", f"ups1@127.0.0.1:{ours}"],
                check=True,
                capture_output=True,
                text=True,
            )
            running += reference(folder, theirs, shown.stdout)
            await deferLater(reactor, 3)
            mine = await deferToThread(measure, ours)
            debian = await deferToThread(measure, theirs)
        finally:
            for each in running:
                each.terminate()
                each.wait()
    await twin.stopService()
    for what, seconds in zip(("one variable", "all variables", "upsc"), debian, strict=True):
        figure(f"upsd, {what}", seconds, "ms")
    return all(
        [
            bar("gantry, one variable", mine[0], "ms", 5),
            bar("gantry, all variables", mine[1], "ms", 5),
            bar("gantry, a whole upsc, more than with upsd", mine[2] - debian[2], "ms", 5),
        ]
    )


def main() -> bool:
    """Run it in a process of its own."""
    if not (UPSD.exists() and DUMMY.exists()):
        print("nut: upsd and dummy-ups are not installed (Debian: nut-server)")
        return False
    return again("nut")


if __name__ == "__main__":
    sys.exit(0 if on_reactor(work) else 1)
