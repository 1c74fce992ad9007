"""What the commands of every kind endanger: nothing that can hurt is done unasked."""

import re
from collections.abc import Mapping
from configparser import ConfigParser
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from tests.config.test_full import FULL
from tests.support import memory_store, moments
from twisted_gantry.config.devices import DEVICE_KINDS, Devices
from twisted_gantry.core.commands.door import CommandDoor, Request
from twisted_gantry.core.commands.types import (
    Argument,
    CommandResult,
    CommandType,
    Endangers,
    Outcome,
)
from twisted_gantry.core.interfaces import IDevice
from twisted_gantry.core.status import Status
from twisted_gantry.devices.modbus.settings import RegisterCommand
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.settings.tables import Document
from twisted_gantry.wire.secret import Secret

MORE = """
[[device]]
name = "ups9"
kind = "ups-card-http"
url = "http://192.168.1.29/"
callback = "http://192.168.1.5:9000/post"
allow_off = true
test_stop = "CT"

[[device]]
name = "relay9"
kind = "relay"
address = "tcp:192.168.1.49:8080"
on = "a0"
off = "a1"

[[device]]
name = "pc9"
kind = "computer"
"""
"""A device of each kind that the full site has not."""

HARMLESS = {
    "BZON",
    "BZOFF",
    "query",
    "sync",
    "update-now",
    "get-params",
    "get-users",
    "get-user",
    "enter-rfid",
    "soft-meter",
    "feed-meter",
    "feed-evse",
    "read-register",
}
TOLLING, POWER, ACCESS, DEVICE = Endangers
ASKING = {
    "ups-card": {"SON": POWER, "SOFF": POWER, "T": POWER, "set-password": ACCESS},
    "ups-card-http": {
        "SON": POWER,
        "SOFF": POWER,
        "T": POWER,
        "stop-test": POWER,
        "set-password": ACCESS,
    },
    "cfos": {
        "override": POWER,
        "write-register": DEVICE,
        "set-params": DEVICE,
        "set-user": ACCESS,
        "reset-device": DEVICE,
        "delete-device": DEVICE,
        "set-diag-logging": DEVICE,
        "change-admin-password": ACCESS,
        "accept-license": DEVICE,
    },
    "bms": {"reset-fault": POWER, "close-contactor": POWER, "open-contactor": POWER},
    "cabinet": {
        "unlock-door": ACCESS,
        "air-conditioner": DEVICE,
        "air-conditioner-temperature": DEVICE,
        "power-mode": TOLLING,
        "door-guard": ACCESS,
        "rectifier": POWER,
        "battery-test": POWER,
        "set-frequency": DEVICE,
        "set-server": DEVICE,
    },
    "computer": {},
    "relay": {"power-cycle": POWER},
}
"""What the commands endanger, by the kind; all others are harmless."""

LOCAL_ONLY = {("ups-card", "SOFF"), ("ups-card-http", "SOFF"), ("cabinet", "set-server")}


def built() -> dict[str, Mapping[str, CommandType]]:
    """Return the commands of each kind of device that is installed."""
    document = Document.parse(FULL + MORE, "dangers")
    devices = Devices(document, Secret, TlsSettings()).built
    assert document.problems == []
    return {each.kind: each.commands for each in devices.values() if each is not None}


KINDS = built()
EVERY = [(kind, name) for kind, commands in KINDS.items() for name in commands]


MAPPED = {"modbus", "http-json"}
"""Kinds whose commands are those that the site describes."""


def test_every_kind_is_in_the_table() -> None:
    """A kind of this package is one that this table knows."""
    setup = ConfigParser()
    setup.read(Path(__file__).parents[2] / "setup.cfg")
    lines = setup["options.entry_points"][DEVICE_KINDS].split("\n")
    assert {line.partition(" = ")[0] for line in lines if line} == {*ASKING, *MAPPED}
    assert set(KINDS) == set(ASKING)


def test_a_command_that_a_site_describes_asks_unless_it_is_said_to_hurt_nothing() -> None:
    """The default is to ask, with a consequence in both languages."""
    asking = RegisterCommand(name="off", register=1).type_of
    assert (asking.endangers, asking.local_only) == (DEVICE, True)
    assert asking.danger
    assert asking.danger_zh
    assert not RegisterCommand(name="look", register=1, endangers="nothing").type_of.asks


@pytest.mark.parametrize("kind", ASKING)
def test_what_the_commands_of_a_kind_endanger(kind: str) -> None:
    """Each command that can hurt says what; the others are those that are known to be harmless."""
    found = {name: each.endangers for name, each in KINDS[kind].items() if each.asks}
    assert found == ASKING[kind]
    assert {name for name, each in KINDS[kind].items() if not each.asks} <= HARMLESS
    for name, each in KINDS[kind].items():
        assert each.local_only == ((kind, name) in LOCAL_ONLY)
        if each.asks:
            assert each.danger.isascii()
            assert not each.danger.endswith(".")
            assert any(ord(character) > 255 for character in each.danger_zh)


@pytest.mark.parametrize("kind", ASKING)
def test_the_buttons_of_a_kind_have_different_names(kind: str) -> None:
    """The page names a button by the words before the first sign of its description."""
    for language in ("en", "zh"):
        texts = [getattr(each, language) for each in KINDS[kind].values()]
        names = [re.split("[:：;；,，（(]", each)[0].strip() for each in texts]
        assert sorted(names) == sorted(set(names))


@implementer(IDevice)
class Told(Service):
    """A device with the commands of a kind, which notes what it is told."""

    kind = "told"
    rules = ()

    def __init__(self, commands: Mapping[str, CommandType]) -> None:
        self.commands, self.told = commands, list[str]()
        self.status = Status("told", lambda: 0.0)

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        self.told.append(command)
        return succeed(CommandResult(Outcome.DONE))


def fitting(argument: Argument) -> Any:
    """Return a value that an argument takes."""
    if argument.choices:
        return argument.choices[-1]
    return {str: "x", int: 1, float: 1.0, bool: True, dict: {}, list: []}[argument.type]


STORE, NUMBERS = memory_store(moments(lambda: 0.0)), count()


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_nothing_that_can_hurt_passes_the_door_unasked(kind: str, name: str) -> None:
    """Unconfirmed, only what is harmless is done; confirmed, all; the platform's is not asked."""
    commands = KINDS[kind]
    device = Told(commands)
    args = {name: fitting(each) for name, each in commands[name].arguments.items()}
    door = CommandDoor({"d": device}, STORE, Clock(), lambda: 0.0, lambda: "")

    def told(**more: Any) -> bool:
        device.told.clear()
        door.run(Request("d", name, args, "test", f"{next(NUMBERS)}", **more))
        return device.told == [name]

    locked = bool(commands[name].locked)
    assert told() == (name in HARMLESS)
    assert told(confirmed=True) != locked
    assert told(platform=True) == (not locked and (kind, name) not in LOCAL_ONLY)
