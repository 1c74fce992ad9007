"""The seams: what says that it provides an interface does."""

from random import Random
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock
from zope.interface.verify import verifyClass, verifyObject

from tests.support import Bench, MemoryCallbacks, in_no_thread, memory_store, moments
from twisted_gantry.core.catalogue import Catalogue, PointType
from twisted_gantry.core.commands.types import CommandType
from twisted_gantry.core.interfaces import DeviceContext, IDevice, IDeviceKind, IStore, IUplink
from twisted_gantry.core.points import Points
from twisted_gantry.devices import computer
from twisted_gantry.devices.bms import driver as bms
from twisted_gantry.devices.cabinet import driver as cabinet
from twisted_gantry.devices.cfos import driver as cfos
from twisted_gantry.devices.relay import driver as relay
from twisted_gantry.devices.upscard import driver as upscard
from twisted_gantry.devices.upscard import http as upscard_http
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.uplinks.etc.uplink import EtcSettings, etc_uplink
from twisted_gantry.wire.secret import Secret

_KINDS: dict[str, tuple[Any, Any]] = {
    "ups-card": (upscard.kind, upscard.UpsCardSettings(address="tcp:127.0.0.1:2390")),
    "ups-card-http": (
        upscard_http.kind,
        upscard_http.UpsCardHttpSettings(
            url="http://127.0.0.1:2380/", callback="http://127.0.0.1:9000/post"
        ),
    ),
    "cfos": (cfos.kind, cfos.CfosSettings(url="http://127.0.0.1:4700")),
    "bms": (bms.kind, bms.BmsSettings(url="http://127.0.0.1:4800/api", device_uid="b")),
    "cabinet": (
        cabinet.kind,
        cabinet.CabinetSettings(url="http://127.0.0.1:3700/remotecontrol.do", auth=Secret("c")),
    ),
    "relay": (relay.kind, relay.RelaySettings(address="tcp:127.0.0.1:1", on="01", off="00")),
    "computer": (computer.kind, computer.ComputerSettings()),
}


@pytest.fixture
def context() -> DeviceContext:
    """Return what a driver is given, with a reactor in memory."""
    points = Points(Catalogue(), lambda: 0.0)
    return DeviceContext(
        MemoryReactorClock(),
        points,
        lambda: 0.0,
        Random(0),
        in_no_thread,
        memory_store(moments(lambda: 0.0)),
        MemoryCallbacks(),
        "G1",
    )


@pytest.mark.parametrize("name", _KINDS)
def test_a_kind_of_device_builds_a_device(name: str, context: DeviceContext) -> None:
    """Each kind provides its interface; what it builds is a device, with its points declared."""
    kind, settings = _KINDS[name]
    assert verifyObject(IDeviceKind, kind)
    assert kind.kind == name
    device = kind.build("one", settings, context)
    assert verifyObject(IDevice, device)
    assert device.kind == name
    assert device.status.name == "one"
    assert all(isinstance(each, CommandType) for each in device.commands.values())
    types = [context.points.catalogue[point.name] for point in context.points.under("one.")]
    assert types
    assert all(isinstance(each, PointType) and each.en and each.zh for each in types)
    assert len({rule.name for rule in device.rules}) == len(device.rules)


def test_the_store_is_a_store() -> None:
    """The store over SQLite has every method of a store, with its arguments."""
    assert verifyClass(IStore, SqliteStore)


def test_the_etc_uplink_is_an_uplink() -> None:
    """The uplink to the platform provides what the rest of the program asks of an uplink."""
    settings = EtcSettings(url="http://127.0.0.1/monitor.do", auth=Secret("code"))
    bench = Bench()
    reactor = MemoryReactorClock()
    uplink = etc_uplink(settings, bench.site, reactor, bench.clock.now, lambda: 0.5)
    assert verifyObject(IUplink, uplink)
    assert uplink.last_delivered is None
