"""The computer that runs the gantry: disks, memory, processor, network.

`computerStatusUpdate` reports these points.

Source: the ETC document, section 2.1. Sizes are KiB (8388608 is 8 GiB), usages %.
"""

import socket
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
import psutil
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.logger import Logger
from zope.interface import implementer

from twisted_gantry.core.alarms import Rule, Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import CommandResult, CommandType
from twisted_gantry.core.interfaces import DeviceContext, IRefreshable
from twisted_gantry.core.status import Status
from twisted_gantry.devices.computers.points import NOT_SUPPORTED, POINTS, Measured, good
from twisted_gantry.devices.computers.remote import DEADLINE as DEADLINE_OF_OTHERS
from twisted_gantry.devices.computers.remote import RemoteComputer
from twisted_gantry.devices.conditions import equals
from twisted_gantry.devices.kind import DeviceKind
from twisted_gantry.devices.polled import (
    Poller,
    PollPeriod,
    Refreshed,
    http_client,
    wrong_base_url,
)
from twisted_gantry.net.kernel_clock import synchronised
from twisted_gantry.net.outage import Cause, outage
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.timers import Timer
from twisted_gantry.wire.etc.computers import LONGEST_ID
from twisted_gantry.wire.reading import Quality
from twisted_gantry.wire.secret import Secret

_log = Logger()

# Seconds after which a reading counts as failed: asking a disk that is gone for its size blocks.
DEADLINE = 5.0

CLOCK_SYNCHRONISED = PointType("clock_synchronised", "", "Clock is synchronised", "时钟已同步")
"""Whether a time server keeps the clock of this computer right; no field of the report."""

OUR_OWN = (
    "reads this computer; another one has the url of its own gantry, or uploads to [monitor] and "
    "needs no device"
)
UNSYNCHRONISED = 3600.0  # seconds without a time server until the alarm
RULES = (
    Rule(
        "clock-unsynchronised",
        Severity.WARNING,
        "no time server has set the clock of this computer for an hour",
        "本机时钟超过一小时未与时间服务器同步",
        equals(CLOCK_SYNCHRONISED.name, False),
        delay=UNSYNCHRONISED,
    ),
)

# Where the kernel's drivers report the processor, in the order of preference.
_CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "soc_thermal", "acpitz")


class ComputerSettings(TlsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` of kind `computer`. `url` is the local API of another gantry, with
    its `token`; `remote` is the name that its computer has there. Empty, it is our own computer.
    """

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_ID)] = "1"
    monitor: bool = True
    main: bool = True
    data_disk: str = "/"
    poll: PollPeriod = 10.0
    url: str = ""
    token: Secret | None = None
    remote: Annotated[str, msgspec.Meta(max_length=64)] = ""


Probe = Callable[[], Mapping[str, Measured]]
"""Measures the computer, by the names of the points. A call may block: it runs in a thread."""


class PsutilProbe:
    """Measures by psutil. `seconds` is a monotonic clock for the rates; `in_time` tells whether the
    kernel holds the clock synchronised, None if unknown.
    """

    def __init__(
        self,
        data_disk: str,
        seconds: Callable[[], float] = time.monotonic,
        in_time: Callable[[], bool | None] = synchronised,
    ) -> None:
        self._data_disk, self._seconds, self._in_time = data_disk, seconds, in_time
        self._last: tuple[float, Mapping[str, Any]] | None = None

    def __call__(self) -> Mapping[str, Measured]:
        memory = psutil.virtual_memory()
        # The first call has no earlier one to compare with: it measures for 0.2 s.
        cpu = psutil.cpu_percent(interval=0.2 if self._last is None else None)
        net = self._net_usage()
        return {
            **self._disk("sys_disk", "/"),
            **self._disk("data_disk", self._data_disk),
            "memory_usage": good(float(memory.percent)),
            "memory_size": good(memory.total // 1024),
            "net_usage": net,
            "cpu_usage": good(float(cpu)),
            "cpu_temperature": self._temperature(),
            "ip": self._address(),
            CLOCK_SYNCHRONISED.name: self._synchronised(),
        }

    def _disk(self, name: str, path: str) -> dict[str, Measured]:
        try:
            usage = psutil.disk_usage(path)
        except OSError:
            failed: Measured = (None, Quality.GET_FAILED)
            return {f"{name}_usage": failed, f"{name}_size": failed}
        return {
            f"{name}_usage": good(float(usage.percent)),
            f"{name}_size": good(usage.total // 1024),
        }

    def _net_usage(self) -> Measured:
        """Return the use of the busiest link, in its busier direction, in % of its speed."""
        now, counters = self._seconds(), psutil.net_io_counters(pernic=True)
        last, self._last = self._last, (now, counters)
        speeds = {n: s.speed for n, s in psutil.net_if_stats().items() if s.isup and s.speed > 0}
        speeds.pop("lo", None)
        if not speeds:
            return NOT_SUPPORTED
        if last is None or now <= last[0]:
            return (None, Quality.NO_DATA)
        usages = [0.0]
        for nic, speed in speeds.items():
            if nic in counters and nic in last[1]:
                new, old = counters[nic], last[1][nic]
                moved = max(new.bytes_sent - old.bytes_sent, new.bytes_recv - old.bytes_recv)
                usages.append(moved * 8 / (now - last[0]) / (speed * 1e6) * 100)
        return good(min(max(usages), 100.0))

    def _temperature(self) -> Measured:
        sensors = psutil.sensors_temperatures()
        for name in _CPU_SENSORS:
            if sensors.get(name):
                return good(float(sensors[name][0].current))
        return NOT_SUPPORTED

    def _synchronised(self) -> Measured:
        in_time = self._in_time()
        return NOT_SUPPORTED if in_time is None else good(in_time)

    def _address(self) -> Measured:
        up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
        for name, addresses in psutil.net_if_addrs().items():
            for address in addresses:
                outward = not address.address.startswith("127.")
                if name in up and address.family == socket.AF_INET and outward:
                    return good(address.address)
        return NOT_SUPPORTED


@implementer(IRefreshable)
class Computer(NamedService):
    """Reads its probe every `poll` seconds, off the reactor's thread."""

    kind = "computer"
    rules = RULES
    commands: Mapping[str, CommandType] = MappingProxyType({})

    def __init__(
        self, name: str, settings: ComputerSettings, context: DeviceContext, probe: Probe
    ) -> None:
        super().__init__(name)
        self.device = name
        self.status = Status(name, context.now)
        self._context, self._probe = context, probe
        self._poller = Poller(
            context,
            self.status,
            self._read,
            settings.poll,
            max_failures=1,
            counted=False,
            losing=lambda: context.points.fail(name, self._measured),
        )
        self.poll_seconds = self._poller.seconds
        self.attempt = self._poller.attempt
        self._refreshed = Refreshed(self._poller.now)
        self.refresh = self._refreshed.wait
        self._late = Timer(context.reactor, self._too_late)
        context.points.declare(name, (*POINTS, CLOCK_SYNCHRONISED))
        identity = _identity(settings)
        context.points.update(name, identity)
        self.claims = {"computer": OUR_OWN, **_claims(settings)}
        own = (*POINTS, CLOCK_SYNCHRONISED)
        self._measured = [each.name for each in own if each.name not in identity]

    def startService(self) -> None:
        super().startService()
        self._poller.start()

    def stopService(self) -> None:
        """Stop reading; the result of a reading under way is dropped."""
        super().stopService()
        self._poller.stop()
        self._late.cancel()

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        return fail(ValueError(f"a computer has no command {command}"))

    async def _read(self) -> float:
        """Read; a disk that hangs holds one thread, not one more with each period."""
        clock, period = self._context.reactor, self._poller.period
        began = clock.seconds()
        self._late.start(DEADLINE)
        try:
            measured = await self._context.in_thread(self._probe)
        except CancelledError:
            raise
        except Exception as error:
            _log.failure("{name} could not be read", name=self.device)
            self._poller.failed(outage(Cause.LOCAL, str(error), en=str(error)))
        else:
            self._context.points.update(self.device, measured)
            self._poller.good()
        finally:
            self._late.cancel()
            self._refreshed.done()
        return float(period - (clock.seconds() - began) % period)

    def _too_late(self) -> None:
        en = f"a reading takes over {DEADLINE:g} s: does a disk hang?"
        zh = f"读取超过{DEADLINE:g}秒：磁盘可能无响应"
        self._poller.failed(outage(Cause.LOCAL, en=en, zh=zh))


def _identity(settings: ComputerSettings) -> dict[str, Measured]:
    return {
        "id": good(settings.id),
        "is_monitor_computer": good(settings.monitor),
        "is_main_computer": good(settings.main),
    }


def _claims(settings: ComputerSettings) -> dict[str, str]:
    return {f"computerStatus {settings.id}": f"reports the computer with the id {settings.id!r}"}


def _build(
    name: str, settings: ComputerSettings, context: DeviceContext
) -> Computer | RemoteComputer:
    if not settings.url:
        return Computer(name, settings, context, PsutilProbe(settings.data_disk))
    client, close = http_client(context, DEADLINE_OF_OTHERS, settings)
    return RemoteComputer(
        name,
        _identity(settings),
        context,
        client,
        close,
        claims=_claims(settings),
        url=settings.url,
        token=settings.token,
        remote=settings.remote,
        poll=settings.poll,
    )


def _wrong_url(url: str) -> str:
    return wrong_base_url(url) if url else ""


kind = DeviceKind("computer", ComputerSettings, _build, checks={"url": _wrong_url})
