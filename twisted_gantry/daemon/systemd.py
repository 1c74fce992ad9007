"""What systemd is told of the daemon: ready, alive, reloading, stopping.

The protocol is that of sd_notify(3): a datagram of `NAME=value` lines to `$NOTIFY_SOCKET`.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from twisted_gantry.core.points import Batch
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import State
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.timers import GuardedLoop

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


class Watchdog(NamedService):
    """Feeds the watchdog of systemd every `period` seconds while the daemon does its work.

    Two conditions: the reactor turns, and no poller is dead. A poller is dead if its device is not
    offline and has brought no reading for its `patience`, seconds by the name of the device; other
    devices are not watched. An offline device has its alarm, and a restart of the daemon would not
    mend it. The same goes for a disk or a name server that hangs: no thread is asked.
    """

    def __init__(
        self,
        notifier: Notifier,
        clock: IReactorTime,
        site: Site,
        period: float,
        patience: Mapping[str, float],
    ) -> None:
        super().__init__("watchdog")
        self._notifier, self._clock, self._site = notifier, clock, site
        self._period, self._patience = period, patience
        self._alive: dict[str, float] = {}  # when a device last brought a reading, on the clock
        self._told = ""
        self._loop = GuardedLoop(clock, self._beat, "the watchdog")
        self._unsubscribe: Callable[[], None] = lambda: None

    def startService(self) -> None:
        super().startService()
        now = self._clock.seconds()
        self._alive = dict.fromkeys(self._patience, now)
        self._unsubscribe = self._site.points.subscribe(self._note)
        self._loop.start(self._period)

    def stopService(self) -> None:
        super().stopService()
        self._unsubscribe()
        self._loop.stop()

    def _note(self, device: str, batch: Batch) -> None:
        self._alive[device] = self._clock.seconds()

    def _beat(self) -> None:
        dead = self._dead_poller()
        if dead and dead != self._told:
            _log.error("the watchdog is not fed: {dead}", dead=dead)
        self._told = dead
        if not dead:
            self._notifier.alive()

    def _dead_poller(self) -> str:
        now = self._clock.seconds()
        for name, patience in self._patience.items():
            device = self._site.devices.get(name)
            if device is None or device.status.state is State.OFFLINE:
                self._alive[name] = now
            elif now - self._alive.get(name, now) > patience:
                return f"{name} is {device.status.state} and has brought nothing for {patience:g} s"
        return ""


def poller_patience(settings: object) -> float | None:
    """Return after how many seconds without a reading the poller of a device counts as dead.

    The time is far longer than any lawful pause; None for a device that polls nothing.
    """
    given = [getattr(settings, name, None) for name in ("poll", "period")]
    periods = [each for each in given if isinstance(each, int | float)]
    return 300.0 + 10.0 * max(periods) if periods else None


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
