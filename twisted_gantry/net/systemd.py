"""What systemd is told of a daemon: ready, alive, reloading, stopping; and a sure end.

The protocol is that of sd_notify(3): a datagram of `NAME=value` lines to `$NOTIFY_SOCKET`.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from twisted.logger import Logger

_log = Logger()

EXIT_PATIENCE = 4.0  # seconds from the stop to the end of the process, whatever a thread still does


def send_datagram(data: bytes, address: str) -> None:
    """Send to a UNIX socket; an address that begins with @ is abstract. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.setblocking(False)
        path = f"\0{address[1:]}" if address.startswith("@") else address
        sock.sendto(data, path)


class Notifier:
    """Tells systemd; without an address, as when started by hand, nothing is sent."""

    def __init__(self, address: str, send: Callable[[bytes, str], None] = send_datagram) -> None:
        self._address, self._send = address, send
        self._failing = False

    def ready(self) -> None:
        """Say that all endpoints listen; also after a reload."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """Say that the configuration is read again; `ready` ends the reload."""
        self._tell("RELOADING=1")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def status(self, text: str) -> None:
        self._tell(f"STATUS={' '.join(text.split())}")

    def alive(self) -> None:
        self._tell("WATCHDOG=1")

    def _tell(self, line: str) -> None:
        if not self._address:
            return
        try:
            self._send(line.encode(), self._address)
        except OSError as error:
            if not self._failing:
                _log.warn("systemd cannot be told {line}: {why}", line=line, why=str(error))
            self._failing = True
        else:
            self._failing = False


def notifier_of(environment: Mapping[str, str]) -> Notifier:
    return Notifier(environment.get("NOTIFY_SOCKET", ""))


def watchdog_period(environment: Mapping[str, str], pid: int) -> float | None:
    """Return the seconds between two feeds, half of the watchdog's limit; None without a limit."""
    text = environment.get("WATCHDOG_USEC", "")
    meant = environment.get("WATCHDOG_PID", "")
    if not (text.isascii() and text.isdigit() and int(text) > 0) or meant not in ("", str(pid)):
        return None
    return int(text) / 2_000_000


class ThreadTimer(Protocol):
    """The part of `threading.Timer` that `HardExit` needs."""

    daemon: bool

    def start(self) -> None: ...


class HardExit:
    """Ends the process some seconds after the stop began, even if a thread hangs.

    Acknowledged data is on the disk by then: the store commits as it goes. `leave` is `os._exit`:
    an orderly end would wait for the thread.
    """

    def __init__(
        self,
        seconds: float = EXIT_PATIENCE,
        timer: Callable[[float, Callable[[], None]], ThreadTimer] = threading.Timer,
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        self._seconds, self._timer, self._leave = seconds, timer, leave
        self._armed = False

    def arm(self) -> None:
        if self._armed:
            return
        self._armed = True
        timer = self._timer(self._seconds, self._end)
        timer.daemon = True
        timer.start()

    def _end(self) -> None:
        names = sorted(each.name for each in threading.enumerate() if not each.daemon)
        try:
            _log.critical(
                "did not stop within {seconds:g} s, ends all the same; threads: {names}",
                seconds=self._seconds,
                names=", ".join(names),
            )
        finally:
            self._leave(1)
