"""Clients that were not made for the twin read it as they are: `powerbrain`, and two generations.

The two small ones read with the keys of one firmware generation each, as the clients do that are
in use with it. Our own driver is here too.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import powerbrain  # type: ignore[import-untyped]
import pytest
import pytest_twisted
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource

from tests.devices.cfos.rig import Rig
from tests.twin.faces.cfos.bench import PIN, Bench, basic
from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.twin.faces.cfos.face import ADMIN_PASSWORD, PowerBrain
from twisted_gantry.twin.faults.settings import Faults
from twisted_gantry.twin.world.charging import ChargingSite
from twisted_gantry.twin.world.mains import Mains


class Served(Bench):
    """A Power Brain on a real port."""

    port: IListeningPort

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port.getHost().port}"  # type: ignore[attr-defined]


@pytest.fixture
def served() -> Iterator[Served]:
    """A Power Brain that listens, with a car that has charged for half a minute."""
    from twisted.internet import reactor

    sockets: Any = reactor
    bench = Served()
    bench.run(30)
    bench.port = sockets.listenTCP(0, bench.site, interface="127.0.0.1")
    yield bench
    pytest_twisted.blockon(bench.port.stopListening())


class Client:
    """What the clients of both generations have in common: GET and POST, with a password."""

    def __init__(self, url: str, password: str = ADMIN_PASSWORD) -> None:
        self._url, self._headers = url, basic(password)

    def get(self, path: str) -> bytes:
        """Return the body of an answer, empty unless it is 200."""
        connection = HTTPConnection(self._url.removeprefix("http://"), timeout=5)
        with closing(connection):
            connection.request("GET", path, headers=self._headers)
            answer = connection.getresponse()
            return answer.read() if answer.status == 200 else b""

    def call(self, query: str) -> Any:
        return json.loads(self.get(f"/cnf?cmd={query}"))


class OldClient(Client):
    """Reads as clients of the firmwares 1.6 to 1.14 do."""

    def read(self) -> dict[str, Any]:
        info, params = self.call("get_dev_info"), self.call("get_params")
        types = params.get("dev_meta") or self.call("get_dev_types")
        shown: dict[str, Any] = {
            "site": [
                params[key]
                for key in ("max_total_power", "power_reserve", "overdraft", "max_total_evse_power")
            ],
            "evse": [params["consumed_evse_power"], params["remaining_evse_power"]],
        }
        for device in info["devices"]:
            label = types[device["dev_type"]]
            if device["is_evse"]:
                inner = device.get("evse", {})
                shown[device["dev_id"]] = [label, device["max_power"], inner.get("charging")]
            else:
                shown[device["dev_id"]] = [label, device["power"], device["import"]]
        return shown


class NewClient(Client):
    """Reads as clients of the document's firmware do."""

    def read(self) -> dict[str, Any]:
        info = self.call("get_dev_info")
        params = info["params"]
        shown: dict[str, Any] = {
            "site": [
                params[key]
                for key in (
                    "max_total_current",
                    "reserve_current",
                    "overdraft_cur",
                    "max_total_evse_current",
                )
            ],
            "evse": [params["cons_evse_power"], params["avail_evse_power"]],
            "time": params["time"],
        }
        for device in info["devices"]:
            if device["dev_id"].startswith("E"):
                shown[device["dev_id"]] = [
                    device["max_charging_cur"],
                    device["state"],
                    device["cur_charging_power"],
                ]
            else:
                shown[device["dev_id"]] = [device["power_w"], device["role"]]
        return shown


async def test_the_published_client_reads_it(served: Served) -> None:
    """PyPI's `powerbrain`, unchanged, finds every device, its type, and what is attached."""
    client = powerbrain.Powerbrain(served.url)

    def read() -> Any:
        with client.session:
            client.connect()
            return client.get_dev_info()

    info = await deferToThread(read)
    assert (client.version, client.max_total_evse_power) == ("1.8.1095", 0)
    assert list(info["devices"]) == ["E1", "E2", "M1", "M2", "M3"]
    evse = info["devices"]["E1"]
    assert (evse["state"], evse["cur_charging_power"]) == (3, 16 * 220 * 3)
    assert evse["dev_type_label"] == "cFos Power Brain"
    assert evse["attached_device"]["dev_id"] == "M2"
    assert info["devices"]["M1"]["attach"] is None
    assert info["params"]["title"] == "cFos Power Brain"


async def test_a_client_of_the_first_generation_reads_it(served: Served) -> None:
    """W everywhere, `power`, nested `evse`."""
    shown = await deferToThread(OldClient(served.url).read)
    assert shown["site"] == [22_080, 0, 0, 0]
    power = 16 * 220 * 3
    assert shown["evse"][0] == power
    assert shown["E1"] == ["cFos Power Brain", 11_040, True]
    assert shown["E2"] == ["HTTP input", 11_040, None]
    assert shown["M1"][1] == power + 900


async def test_a_client_of_the_second_generation_reads_it(served: Served) -> None:
    """The document's keys: mA, `power_w`, `time`."""
    shown = await deferToThread(NewClient(served.url).read)
    assert shown["site"] == [32_000, 0, 0, 0]
    assert shown["evse"][0] == 16 * 220 * 3
    assert shown["E1"] == [16_000, 3, 16 * 220 * 3]
    assert shown["E2"][1] == 6
    assert shown["M1"] == [16 * 220 * 3 + 900, 3]
    assert shown["time"] == int(served.now())


async def test_clients_check_their_password_and_act(served: Served) -> None:
    """`/ui/en/sim.htm` tells a right password from a wrong one; what is set is seen."""
    client = Client(served.url)
    assert await deferToThread(client.get, "/ui/en/sim.htm")
    assert not await deferToThread(Client(served.url, "wrong").get, "/ui/en/sim.htm")
    assert await deferToThread(client.call, "override_device&dev_id=E1&mamps=8000.0") == "ok"
    assert await deferToThread(client.call, "override_device&dev_id=E1&flags=C") == "ok"
    device = next(
        each
        for each in (await deferToThread(client.call, "get_dev_info"))["devices"]
        if each["dev_id"] == "E1"
    )
    assert (device["overrides"] & 1, device["ov_cur"]) == (1, 8000)


class TwinRig(Rig):
    """Our driver on the twin, on one clock."""

    def _resource(self) -> Resource:
        self.charging = ChargingSite(Mains())
        faults = Faults(self.clock.seconds, self.bench.random)
        self.brain = PowerBrain(
            self.charging, faults, self.clock, self.clock.now, admin_password=self.manager.admin
        )
        return self.brain.resource()

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.charging.step(1)
            self.clock.run(1, 0.25)


@pytest.fixture
def rig() -> Iterator[TwinRig]:
    rig = TwinRig()
    rig.start()
    yield rig
    rig.stop()


def test_our_driver_polls_it(rig: TwinRig) -> None:
    """Every reading of the twin arrives as a point, and follows the world."""
    rig.run(30)
    assert rig.good("E1.state") == "charging"
    assert rig.good("E1.power") == 16 * 220 * 3
    assert rig.good("M1.voltage_l1") == 220
    rig.charging.evses["E1"].plugged = False
    rig.charging.settle()
    rig.run(6)
    assert rig.good("E1.state") == "waiting"
    assert not rig.device.counts["bad-device"]


def test_our_driver_commands_it(rig: TwinRig) -> None:
    """Commands of the driver act on the world, and their answers are understood."""
    rig.run(30)
    evse = rig.charging.evses["E1"]
    assert rig.do("override", dev_id="E1", flags="C").result is Outcome.DONE
    assert evse.power_w == 0
    assert rig.do("override", dev_id="E1", flags="c", mamps=6000).result is Outcome.DONE
    assert evse.offer_a == 6
    assert rig.do("enter-rfid", rfid=PIN, dev_id="E1").result is Outcome.DONE
    assert rig.do("enter-rfid", rfid="1", dev_id="E1").result is Outcome.FAILED
    result = rig.do("read-register", device="evse", read="8093")
    assert (result.result, result.value) == (Outcome.DONE, 160)
    assert rig.do("write-register", device="evse", write="8093", value=70).result is Outcome.DONE
    assert rig.brain.manager.evse("E1").limit_ma == 7000
    assert rig.do("soft-meter", dev_id="E1").result is Outcome.DONE
    changed = rig.do("change-admin-password", new_pwd="another one")
    assert changed.result is Outcome.DONE, changed
