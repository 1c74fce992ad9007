"""A real `twistd` in a process of its own, and the twin beside the test."""

import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.client import Agent, HTTPConnectionPool

TWISTD = str(Path(sys.executable).parent / "twistd")
GANTRYCTL = str(Path(sys.executable).parent / "gantryctl")
AUTH = "kX7-secret-code"
ENDS_WITHIN = 60.0
"""Seconds after which a process that was told to end hangs; the daemon itself gives up earlier."""


class TimedOut(AssertionError):
    """What was waited for did not come."""


async def until(reactor: Any, what: str, holds: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Return the first true result of `holds`, which may be a coroutine function."""
    for _ in range(int(seconds / 0.05)):
        result = holds()
        if hasattr(result, "__await__"):
            result = await result
        if result:
            return result
        await deferLater(reactor, 0.05)
    raise TimedOut(what)


class Daemon:
    """`twistd` with some arguments, in the foreground; its output goes to a file."""

    def __init__(self, folder: Path, *arguments: str, nodaemon: bool = True) -> None:
        self.log = folder / "twistd.log"
        (folder / "twistd.pid").write_text("1\n")  # as a power cut or another container leaves it
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [TWISTD, *(["--nodaemon"] if nodaemon else []), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )

    @property
    def text(self) -> str:
        """All that it has printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> bool:
        """End it as an operator does; True if it went by the signal and no other way.

        twistd ends by the signal that it was sent, once everything has stopped; a daemon that has
        not stopped in time ends with code 1.
        """
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(ENDS_WITHIN)
        return code == -signal.SIGTERM


class Client:
    """An HTTP client whose connections are closed at the end of the test."""

    def __init__(self, reactor: Any) -> None:
        self._pool = HTTPConnectionPool(reactor, persistent=False)
        self._client = HTTPClient(Agent(reactor, connectTimeout=2, pool=self._pool))

    async def get(self, url: str) -> Any:
        """Return decoded JSON, None if there is no answer."""
        return await self._ask("GET", url, None)

    async def send(self, method: str, url: str, content: Any) -> Any:
        """Send JSON, return decoded JSON."""
        return await self._ask(method, url, json.dumps(content).encode())

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> Any:
        """Send a body, return decoded JSON, None if there is no answer."""
        return await self._ask("POST", url, body, headers)

    async def text(self, url: str) -> str:
        """Return an answer as text."""
        response = await self._client.request("GET", url)
        text: str = await response.text()
        return text

    async def _ask(self, method: str, url: str, body: bytes | None, headers: Any = None) -> Any:
        try:
            response = await self._client.request(method, url, data=body, headers=headers)
            return json.loads(await response.content())
        except Exception:  # not up yet, or gone: the caller decides what that means
            return None

    def close(self) -> Deferred[None]:
        """Close what is open."""
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed


def _ports() -> list[int]:
    """Return the ports of this process of tests: other processes of the run have other ones, and
    the kernel gives none of them to a socket that asks for any port.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    mine = range(20_000 + worker % 16, 32_000, 16)
    return random.SystemRandom().sample(mine, len(mine))


_PORTS = cycle(_ports())


def free_port() -> int:
    """Return a port of loopback that nobody listens on, and that no other test is given."""
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


def _ask_dead(data: Path, query: str) -> list[sqlite3.Row]:
    """Ask the database of a dead daemon; its own files stay untouched."""
    copy = data.with_name("copy-of-data")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(data, copy)
    db = sqlite3.connect(copy / "gantry.db")
    db.row_factory = sqlite3.Row
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def outbox_rows(data: Path) -> dict[int, bytes]:
    """Return what a dead daemon left in its outbox, by number."""
    return {row["id"]: row["body"] for row in _ask_dead(data, "SELECT id, body FROM outbox")}


def final_ledger(data: Path) -> dict[str, int]:
    [row] = _ask_dead(data, "SELECT * FROM ledger WHERE uplink = 'etc'")
    return dict(row)


def write_config(folder: Path, ups: int, platform: int, web: int, more: str = "") -> Path:
    """Write a site with one UPS, this computer and three cabinets, reported every second."""
    (folder / "auth").write_text(AUTH + "\n", encoding="utf-8")
    cabinets = "".join(
        f'[[cabinet]]\nid = "{n}"\nelec = ["ups1"]\nups = ["ups1"]\n' for n in (1, 2, 3)
    )
    path = folder / "site.toml"
    path.write_text(
        f"""
[gantry]
id = "G000211001002110010"
[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:127.0.0.1:{ups}"
poll = 0.2
[[device]]
name = "pc1"
kind = "computer"
{cabinets}
[uplink.etc]
url = "http://127.0.0.1:{platform}/monitor.do"
auth = {{ file = "auth" }}
period = 1.0
[web]
listen = "tcp:{web}:interface=127.0.0.1"
{more}
""",
        encoding="utf-8",
    )
    return path
