"""Checks of a driver: what the gantry relies on, whatever the device is.

`check_kind` looks at a kind and at what it builds; `check_life` lets a device live: it comes
online, is lost, comes back and stops. Each raises AssertionError, which says what is wrong.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, cast

import msgspec
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from twisted_gantry.core.commands.door import Request
from twisted_gantry.core.commands.types import CommandResult, CommandType
from twisted_gantry.core.interfaces import DeviceContext, IDevice, IDeviceKind, ITap
from twisted_gantry.core.points import Point
from twisted_gantry.core.status import State
from twisted_gantry.testing.clock import ManualClock
from twisted_gantry.testing.site import FakeSite

_POINT = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_NAME = "device1"
STOPS_WITHIN = 5.0
"""Seconds in which a device must have stopped: the daemon does not wait longer."""


class Peer(Protocol):
    """What plays the device: one of `twisted_gantry.testing.network`, or like these."""

    reachable: bool

    def lose(self) -> None: ...  # cut the connection, and refuse others until `reachable`


def check_kind(kind: Any, settings: Any) -> None:
    """See that a kind provides its interface, and builds devices as the gantry expects them.
    `settings` are those of one that need not exist: `--check` builds devices and never starts them.
    """
    verifyObject(IDeviceKind, kind)
    assert issubclass(kind.settings, msgspec.Struct), "the settings are no msgspec.Struct"
    assert kind.settings.__struct_config__.frozen, "the settings can be changed: frozen=True"
    assert isinstance(settings, kind.settings), f"no {kind.settings.__name__}"
    _check_no_secret_shown(settings)
    site = FakeSite()
    nothing = cast("Any", None)  # build must not touch the reactor
    device = kind.build(_NAME, settings, replace(site.context, reactor=nothing))
    verifyObject(IDevice, device)
    assert device.name == _NAME, "the service does not have the device's name"
    assert device.kind == kind.kind, f"the device calls its kind {device.kind!r}"
    assert device.status.name == _NAME, "the status does not have the device's name"
    assert device.status.state is State.CONNECTING, "it is connecting until it was read"
    _check_points(site)
    _check_rules(site, device)
    for name, command in device.commands.items():
        assert isinstance(command, CommandType), f"{name} is no CommandType"
        assert command.en, f"{name} has no English text"
        assert command.zh, f"{name} has no Chinese text"
    kind.build("device2", settings, replace(site.context, reactor=nothing))


def _check_no_secret_shown(settings: Any) -> None:
    shown = repr(settings)
    for name in settings.__struct_fields__:
        reveal = getattr(getattr(settings, name), "reveal", None)
        assert reveal is None or reveal() not in shown, f"repr shows the secret {name}"


def _check_points(site: FakeSite) -> None:
    points = site.points.under(f"{_NAME}.")
    assert points, "it declares no points when it is built"
    for point in points:
        assert _POINT.fullmatch(point.name), f"{point.name!r} is no name of a point"
        kind = site.points.catalogue[point.name]
        assert kind.en, f"{point.name} has no English label"
        assert kind.zh, f"{point.name} has no Chinese label"


def _check_rules(site: FakeSite, device: Any) -> None:
    """See that each rule reads declared points, and claims nothing while none is known."""
    names = [rule.name for rule in device.rules]
    assert len(set(names)) == len(names), "two rules have the same name"

    for rule in device.rules:
        assert rule.en, f"the rule {rule.name} has no English text"
        assert rule.zh, f"the rule {rule.name} has no Chinese text"
        for part in [""] if rule.parts is None else [f"{each}." for each in rule.parts()]:
            said = rule.test(_reader(site, rule.name, part), False)
            assert said is not True, f"the rule {rule.name} holds although nothing was read"


def _reader(site: FakeSite, rule: str, part: str) -> Callable[[str], Point]:
    def read(name: str) -> Point:
        point = site.points.get(f"{_NAME}.{part}{name}")
        assert point is not None, f"the rule {rule} reads {part}{name}, which is not declared"
        return point

    return read


def check_life(
    kind: Any,
    settings: Any,
    play: Callable[[ManualClock], tuple[ITap, Peer]],
    *,
    seconds: float = 30.0,
    lost_within: float = 120.0,
    secrets: tuple[str, ...] = (),
) -> FakeSite:
    """Let a device live, and return its site: stopped, with the points as they were last.

    `play` makes what plays the device: the tap that leads to it, and how it is lost. The device
    must be online within `seconds`, offline within `lost_within` of the loss, online within that
    after the peer is back, and stop within 5 s. No error may show one of `secrets`.
    """
    site = FakeSite()
    tap, peer = play(site.clock)
    context: DeviceContext = replace(site.context, tap=tap)
    device = kind.build(_NAME, settings, context)
    site.add(device)
    device.startService()
    _until(site, lambda: device.status.state is State.ONLINE, seconds, device, "is not online")
    assert _good(site), "it is online, and no point is good"
    peer.lose()
    _until(site, lambda: device.status.state is State.OFFLINE, lost_within, device, "is not lost")
    error = device.status.last_error
    assert error, "it is offline, and its status has no reason"
    for secret in secrets:
        assert secret not in error, "the reason shows a secret"
    assert not _good(site), f"offline, and still good: {', '.join(_good(site))}"
    peer.reachable = True
    _until(site, lambda: device.status.state is State.ONLINE, lost_within, device, "is not back")
    _stop(site, device)
    before = {point.name: point for point in site.points.under()}
    site.clock.run(60, step=1)
    after = {point.name: point for point in site.points.under()}
    assert before == after, "a point changed after the stop"
    device.startService()
    _until(site, lambda: device.status.state is State.ONLINE, seconds, device, "does not restart")
    _stop(site, device)
    return site


def _good(site: FakeSite) -> list[str]:
    return [point.name for point in site.points.under(f"{_NAME}.") if point.good is not None]


def _until(
    site: FakeSite, holds: Callable[[], bool], seconds: float, device: Any, wrong: str
) -> None:
    began = site.clock.seconds()
    while not holds():
        assert site.clock.seconds() - began <= seconds, (
            f"after {seconds:g} s it {wrong}: {device.status.state}, {device.status.last_error}"
        )
        site.clock.run(0.5)


def _stop(site: FakeSite, device: Any) -> None:
    stopped = device.stopService()
    site.clock.run(STOPS_WITHIN, step=0.5)
    assert not isinstance(stopped, Deferred) or stopped.called, "it did not stop within 5 s"
    site.alarms.stop()
    left = [call for call in site.clock.getDelayedCalls() if call.active()]
    assert not left, f"timers are left after the stop: {left}"


def run_command(
    site: FakeSite, device: str, command: str, args: Mapping[str, Any], seconds: float = 35.0
) -> CommandResult:
    """Do a command through the door, confirmed, and return how it ended."""
    ended: list[Any] = []
    request = Request(device, command, args, "test", site.door.new_id(), confirmed=True)
    site.door.run(request).addBoth(ended.append)
    site.clock.run(seconds)
    [result] = ended or [None]
    assert isinstance(result, CommandResult), f"the command did not end: {result}"
    return result
