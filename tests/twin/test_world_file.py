"""The file of `--world`: further cabinets and relays beside the first ones."""

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.protocol import Protocol

from tests.twin.helpers import AUTH, GANTRY_ID, NOW
from tests.twin.test_service import running
from twisted_gantry.twin.world.model import WorldError
from twisted_gantry.twin.world_file import read_world
from twisted_gantry.wire.etc import envelope as etc

ANY = "tcp:0:interface=127.0.0.1"
SITE = f"""
cab2.smoke = true
cab2.dialect = "gbk"
[[cabinet]]
name = "cab2"
id = "2"
listen = "{ANY}"
[[relay]]
on = "a00101a2"
off = "a00100a1"
confirm = "06"
switches = "loads.toll_computers_on"
listen = "{ANY}"
"""


def started(text: str) -> Any:
    read = read_world(text)
    return running(
        world=read.world, dialects=read.dialects, cabinets=read.cabinets, relays=read.relays
    )


async def test_a_second_cabinet_stands_on_the_same_mains() -> None:
    """It has variables, commands and an id of its own, and the mains of the site."""
    async with started(SITE) as site:
        world = await site.control("PATCH", "/world", {"mains.voltage": 0})
        assert (world["cab1.smoke"], world["cab2.smoke"]) == (False, True)
        for name, closed in (("2", True), ("1", False)):
            url = f"http://127.0.0.1:{site.twin.port('cab2')}/remotecontrol.do"
            command = {"cmd": "2", "cabinetId": name, "unlockDoorId": "1"}
            body = etc.encode_request(GANTRY_ID, etc.Method.CABINET_CONTROL, NOW, command)
            headers = etc.signed_headers(body, AUTH)
            answer = await site.client.request("POST", url, body=body, headers=headers)
            assert (b'"1000"' if closed else b'"1007"') in answer.body
        world = await site.control("GET", "/world")
        assert (world["cab1.front_door_unlocked_by"], world["cab2.front_door_unlocked_by"]) == (
            "locked",
            "remote",
        )
        assert (await site.control("GET", "/dialects"))["spoken"]["cab2"] == ["gbk"]


class RelayClient(Protocol):
    def __init__(self) -> None:
        self.heard: Deferred[bytes] = Deferred()

    def say(self, data: bytes) -> Deferred[bytes]:
        self.heard = Deferred()
        assert self.transport is not None
        self.transport.write(data)
        return self.heard

    def dataReceived(self, data: bytes) -> None:
        self.heard.callback(data)


async def test_a_relay_switches_its_load() -> None:
    """The bytes of the file switch the load, also with other bytes before them."""
    async with started(SITE) as site:
        client = RelayClient()
        place = f"tcp:127.0.0.1:{site.twin.port('relay1')}"
        await connectProtocol(clientFromString(site.reactor, place), client)

        async def powered() -> bool:
            return bool((await site.control("GET", "/world"))["loads.toll_computers_powered"])

        assert await powered()
        assert await client.say(bytes.fromhex("00a0a00100a1")) == b"\x06"
        assert not await powered()
        assert await client.say(bytes.fromhex("a00101a2")) == b"\x06"
        assert await powered()
        counts = await site.control("GET", "/counts")
        assert (counts["relay1"]["on"], counts["relay1"]["off"]) == (1, 1)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('[[cabinet]]\nname = "cab1"\nid = "2"', "name"),
        ('[[cabinet]]\nname = "cab2"', "id"),
        ('[[cabinet]]\nname = "cab2"\nid = "2"\n' * 2, "the same name"),
        ('[[relay]]\non = "a0"\noff = "A0"\nswitches = "loads.network_on"', "the same as on"),
        ('[[relay]]\non = "xy"\noff = "00"\nswitches = "loads.network_on"', r"relay.*on"),
        ("[[relay]]\non = 1", "on"),
    ],
)
def test_mistakes_are_named(text: str, error: str) -> None:
    """Each mistake is refused with the key that is wrong."""
    with pytest.raises(ValueError, match=error):
        read_world(text)


def test_a_relay_switches_what_there_is() -> None:
    """A relay without a load that can be switched is refused."""
    relay = {"on": "a0", "off": "a1", "switches": "loads.moon_on"}
    text = "[[relay]]\n" + "\n".join(f"{key} = {json.dumps(each)}" for key, each in relay.items())
    with pytest.raises(WorldError, match=r"loads\.moon_on"):
        read_world(text)
