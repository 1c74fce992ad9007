"""A real mosquitto on a free port, and its own clients."""

import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.process import free_port

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
needs_mosquitto = pytest.mark.skipif(
    not (MOSQUITTO and shutil.which("mosquitto_sub") and shutil.which("mosquitto_pub")),
    reason="mosquitto and mosquitto_sub are not installed (Debian: mosquitto, mosquitto-clients)",
)


class Broker:
    """A mosquitto that runs; what it retains is lost when it ends."""

    def __init__(self, folder: Path, *more: str, port: int = 0) -> None:
        self.folder, self.port = folder, port or free_port()
        self._config = folder / "mosquitto.conf"
        anonymous = () if any("password_file" in line for line in more) else ("true",)
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", *more]
        lines += [f"allow_anonymous {each}" for each in anonymous]
        self._config.write_text("\n".join([*lines, ""]))
        self._clients: list[subprocess.Popen[bytes]] = []
        self.start()

    def start(self) -> None:
        """Start, and wait until it listens."""
        assert MOSQUITTO is not None
        log = (self.folder / "mosquitto.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [MOSQUITTO, "-c", str(self._config)], stdout=log, stderr=log
            )
        for _ in range(500):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self._process.poll() is None, (self.folder / "mosquitto.log").read_text()
            time.sleep(0.01)
        raise AssertionError("mosquitto does not listen")

    def kill(self) -> None:
        """End it as a power cut does."""
        self._process.kill()
        self._process.wait()

    def stall(self, *, over: bool = False) -> None:
        """Stop it, or let it go on."""
        self._process.send_signal(signal.SIGCONT if over else signal.SIGSTOP)

    def close(self) -> None:
        """End it, and its clients."""
        for client in self._clients:
            client.kill()
            client.wait()
        self.stall(over=True)
        self.kill()

    def publish(self, topic: str, payload: str = "", *more: str) -> None:
        """Publish by `mosquitto_pub`."""
        command = ["mosquitto_pub", *self._where(), "-t", topic, "-m", payload, *more]
        subprocess.run(command, check=True)

    def watch(self, topic: str = "#", *more: str) -> "Watch":
        """Begin a `mosquitto_sub`."""
        output = self.folder / f"sub-{len(self._clients)}.txt"
        command = ["mosquitto_sub", *self._where(), "-t", topic, "-F", "%r %t %p", "-q", "1", *more]
        with output.open("wb") as file:
            self._clients.append(subprocess.Popen(command, stdout=file))
        return Watch(output)

    def _where(self) -> list[str]:
        return ["-h", "127.0.0.1", "-p", str(self.port)]


class Watch:
    """What a `mosquitto_sub` has printed: whether it was retained, the topic, the payload."""

    def __init__(self, output: Path) -> None:
        self._output = output

    @property
    def messages(self) -> list[tuple[str, str]]:
        """Topics and payloads, in the order in which they came."""
        text = self._output.read_text(encoding="utf-8")
        lines = [line.split(" ", 2) for line in text.splitlines(keepends=True) if line[-1] == "\n"]
        return [(topic, payload.rstrip("\n")) for _, topic, payload in lines]

    @property
    def last(self) -> dict[str, str]:
        """The last payload of each topic."""
        return dict(self.messages)

    def json(self, topic: str) -> Any:
        """Return the last payload of a topic; an empty object while none came."""
        return json.loads(self.last.get(topic) or "{}")


def passwords(folder: Path, user: str, password: str) -> Path:
    """Make a file of one user for a broker; the test is skipped without `mosquitto_passwd`."""
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto_passwd is not installed (Debian: mosquitto)")
    made = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(made), user, password], check=True)
    return made


@contextmanager
def running(folder: Path, *more: str) -> Iterator[Broker]:
    """Run a broker, with `more` lines of configuration."""
    broker = Broker(folder, *more)
    try:
        yield broker
    finally:
        broker.close()
