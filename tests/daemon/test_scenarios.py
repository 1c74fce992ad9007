"""Every scenario of the twin against a real gantry: what is to be reported is reported in time."""

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from threading import Event
from typing import Any
from urllib.request import Request, urlopen

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from tests.daemon.process import AUTH, TimedOut, free_port, until
from tests.daemon.rig import Rig
from tests.wire.upscard.readings import decode_live
from twisted_gantry.ctl.client import Api, ApiError
from twisted_gantry.ctl.scenario.judge import SCENARIO, Judge
from twisted_gantry.ctl.scenario.run import follow
from twisted_gantry.twin.scenarios.script import load_scenario, scenario_names
from twisted_gantry.wire.bms import OperatingStatus

# As the demo is, with shorter periods: the scenarios can run faster than they are made for.
SITE = """
[gantry]
id = "G000211001002110010"
[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:127.0.0.1:{ups_tcp}"
poll = 0.3
[[device]]
name = "ups2"
kind = "ups-card-http"
url = "http://127.0.0.1:{ups_http}/"
callback = "http://127.0.0.1:{callback}/post"
poll = 0.3
[[device]]
name = "cfos"
kind = "cfos"
url = "http://127.0.0.1:{cfos}"
password = "1234abcd"
poll = 0.5
[[device]]
name = "bms1"
kind = "bms"
url = "http://127.0.0.1:{ems}/wad/ems/v1/api"
device_uid = "bms-0001"
poll = 0.5
sync_period = 1.0
[[device]]
name = "cab1"
kind = "cabinet"
url = "http://127.0.0.1:{cabinet}/remotecontrol.do"
auth = "{auth}"
poll = 2.0
[[cabinet]]
id = "1"
elec = ["ups1", "ups2"]
ups = ["ups1", "ups2"]
air_conditioners = "cab1"
waterlogging_sensor = "cab1"
doors = "cab1"
smoke_sensor = "cab1"
thunder_spd = "cab1"
[uplink.etc]
url = "http://127.0.0.1:{etc}/monitor.do"
auth = "{auth}"
cards_period = 2.0
[uplink.fogslink]
address = "tcp:127.0.0.1:{fogslink}"
eq_sn = "12345678"
api_key = "1234567890123456"
period = 2.0
[uplink.fogslink.channels]
"P0-C1" = "ups1.input_voltage_r"
[monitor]
listen = "tcp:{monitor}:interface=127.0.0.1"
auth = "{auth}"
[web]
listen = "tcp:{web}:interface=127.0.0.1"
"""

# The slowest poll, and what it takes to look at all faces.
WITHIN_S = 2.0 + 1.0
FACES = ("ups-tcp", "ups-http", "cfos", "ems", "cabinet", "etc", "fogslink")


# This gantry asks a BMS every second how it is, that of the demo every five minutes: here the fifth
# protocol, too, must tell of the mains within a poll. The battery is charged before.
CHARGING = {"bms1.power": 20_000}
AND_THE_BMS = (
    {"point": "bms1.operating_status", "is": "idle", "within": 2.5},
    {"point": "bms1.operating_status", "is": "charging", "within": 2.5},
)


@dataclass(frozen=True)
class Group:
    """Scenarios that run one after the other, in one world, at one speed."""

    speed: float
    names: Sequence[str]


SHORT = (Group(200, ["door-forced", "smoke"]),)
LONG = (
    Group(200, ["mains-failure"]),
    Group(2.5, ["card-hangs"]),
    Group(720, ["hot-summer-day"]),
    Group(720, ["platform-down-for-a-day"]),
    Group(60, ["brown-out", "phase-loss", "battery-worn-out", "overload", "flood", "bms-trips"]),
    Group(120, ["air-conditioner-fails"]),
    Group(60, ["ups-goes-dark"]),
    Group(30, ["lightning", "car-arrives"]),
    Group(5, ["card-entry"]),
    Group(2, ["cloud-flaps"]),
    Group(2, ["everything-at-once"]),
)


class Stage(Rig):
    """A twin at some speed, and a gantry of its own beside it."""

    def __init__(self, folder: Path, reactor: Any, pool: ThreadPool, speed: float) -> None:
        folder.mkdir()
        monitor = free_port()
        super().__init__(
            folder,
            reactor,
            auth=AUTH,
            speed=speed,
            world=CHARGING,
            monitor_url=f"http://127.0.0.1:{monitor}/monitor.do",
        )
        self.pool = pool
        places = {face.replace("-", "_"): self.twin.port(face) for face in FACES}
        self.config.write_text(
            SITE.format(**places, callback=free_port(), monitor=monitor, web=self.web, auth=AUTH),
            encoding="utf-8",
        )
        self.running = self.start()

    async def told(self) -> None:
        await self.online(seconds=60.0)

        async def is_() -> bool:
            site = await self.site()
            return bool(site) and all(each["lastDelivered"] for each in site["uplinks"])

        await until(self.reactor, "all to be reported", is_, 60.0)

    async def play(self, names: Sequence[str]) -> list[str]:
        """Run scenarios one after the other; return what was not as expected."""
        await self.told()
        wrong: list[str] = []
        for name in names:
            wrong += await deferToThreadPool(self.reactor, self.pool, self._play, name)
        return wrong

    def _play(self, name: str) -> list[str]:
        """Run a scenario as `gantryctl scenario run` does, over HTTP from a thread.

        It is sent as it is in the library, but for the speed that it is made for.
        """
        gantry = Api(f"http://127.0.0.1:{self.web}")
        twin = Api(f"http://127.0.0.1:{self.twin.port('control')}")
        given = {k: v for k, v in load_scenario(name).given.items() if k != "fastest"}
        if name == "mains-failure":
            given["steps"] = [
                {**step, "expect": [*step["expect"], more]}
                for step, more in zip(given["steps"], AND_THE_BMS, strict=True)
            ]
        begun = twin.post(SCENARIO, {"name": name, **given}).document
        judge = Judge(
            begun,
            lambda path, query: gantry.get(path, query).document,
            lambda path, query: twin.get(path, query).document,
        )
        follow(judge, Event().wait)
        assert judge.expected
        open_ = [each for each in judge.expected if each.verdict != "met"]
        wrong = [f"{name} step {e.step} (at {e.at:g}): {e.what}: {e.verdict}" for e in open_]
        return wrong if judge.kept else [*wrong, f"{name}: {judge.run.state} {judge.run.error}"]


class Walk:
    """Asks every face over its own protocol whether there are mains; all calls block.

    The cabinet, the platform and the cloud are told things, or tell them unasked: what is looked at
    is what they sent, or what they have.
    """

    def __init__(self, stage: Stage) -> None:
        self._port = stage.twin.port
        self._twin = Api(f"http://127.0.0.1:{self._port('control')}")
        self._gantry = Api(f"http://127.0.0.1:{stage.web}")

    def told(self) -> dict[str, bool]:
        ways = (
            self._ups_tcp, self._ups_http, self._cfos, self._ems, self._cabinet, self._etc,
            self._fogslink,
        )  # fmt: skip
        return dict(zip(FACES, (way() for way in ways), strict=True))

    def _ups_tcp(self) -> bool:
        with socket.create_connection(("127.0.0.1", self._port("ups-tcp")), 5) as card:
            card.sendall(b'{"session":"1","cmd":"QAD"}')
            return _good(_object(card))

    def _ups_http(self) -> bool:
        with socket.create_server(("127.0.0.1", 0)) as here:
            here.settimeout(5)
            host = f"http://127.0.0.1:{here.getsockname()[1]}/"
            card = Api(f"http://127.0.0.1:{self._port('ups-http')}")
            with suppress(ApiError):  # a command is answered by nothing, which is no JSON
                card.post("/", {"session": "1", "host": host, "cmd": "QAD"})
            caller, _ = here.accept()
            with caller:
                caller.settimeout(5)
                good = _good(_object(caller))
                caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                return good

    def _cfos(self) -> bool:
        brain = Api(f"http://127.0.0.1:{self._port('cfos')}")
        devices = brain.get("/cnf", {"cmd": "get_dev_info"}).document["devices"]
        [meter] = [each for each in devices if each["dev_id"] == "M1"]
        return bool(meter["voltage_l1"] > 180)

    def _ems(self) -> bool:
        url = f"http://127.0.0.1:{self._port('ems')}/wad/ems/v1/api/bms-control/sync"
        with urlopen(Request(f"{url}?device_uid=bms-0001", method="PUT"), timeout=5) as answer:
            status = json.load(answer)["data"]["operating_status"]
        return OperatingStatus(status) is OperatingStatus.CHARGING  # from the mains

    def _cabinet(self) -> bool:
        active = self._gantry.get("/api/v1/alarms", {"active": "1"}).document["alarms"]
        return "cab1.mains-abnormal" not in {each["alarm"] for each in active}

    def _etc(self) -> bool:
        query = {"method": "cabinetStatusUpdate", "limit": "1"}
        [newest] = self._twin.get("/twin/v1/etc/requests", query).document["requests"]
        assert newest["answer"]["code"] == "1000"
        return bool(newest["body"]["cabinetStatus"]["elec"][0]["status"] == "1")

    def _fogslink(self) -> bool:
        records = self._twin.get("/twin/v1/fogslink/records", {}).document["records"]
        values = {each["eChan"]: each["eVal"] for each in sorted(records, key=itemgetter("at"))}
        return float(values["P0-C1"]) > 180


def _object(peer: socket.socket) -> bytes:
    """Return the JSON object that a peer sends, whatever comes before it."""
    data = b""
    while not data.endswith(b"}"):
        got = peer.recv(65536)
        assert got, data
        data += got
    return data[data.index(b"{") :]


def _good(reply: bytes) -> bool:
    return not decode_live(json.loads(reply)["value"])["mains_abnormal"].value


class Stages:
    """Makes stages that run at the same time."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        self.folder, self.reactor = folder, reactor
        self.pool = ThreadPool(0, 10)
        self.pool.start()
        self.made: list[Stage] = []

    def make(self, speed: float) -> Stage:
        folder = self.folder / str(len(self.made))
        self.made.append(Stage(folder, self.reactor, self.pool, speed))
        return self.made[-1]

    async def play(self, groups: Sequence[Group]) -> list[str]:
        """Run all groups, each with a twin and a gantry of its own; return what is wrong."""
        made = [self.make(group.speed) for group in groups]
        playing = [
            ensureDeferred(stage.play(group.names))
            for stage, group in zip(made, groups, strict=True)
        ]
        found = await gatherResults(playing, consumeErrors=True)
        return [each for wrong in found for each in wrong]

    async def close(self) -> None:
        try:
            await gatherResults([ensureDeferred(stage.close()) for stage in self.made])
        finally:
            self.pool.stop()


@pytest.fixture
def stages(tmp_path: Path) -> Iterator[Stages]:
    from twisted.internet import reactor

    made = Stages(tmp_path, reactor)
    yield made
    pytest_twisted.blockon(ensureDeferred(made.close()))


def test_every_scenario_is_played() -> None:
    """What comes with the twin is played here, in the one test or the other."""
    played = [name for group in (*SHORT, *LONG) for name in group.names]
    assert sorted(played) == scenario_names()


@pytest.mark.long
@pytest.mark.alone
async def test_what_is_expected_is_reported(stages: Stages) -> None:
    """A gantry tells all that the short scenarios expect, in time, without a traceback."""
    assert await stages.play(SHORT) == []
    assert all("Traceback" not in stage.running.text for stage in stages.made)


@pytest.mark.long
@pytest.mark.alone
async def test_within_a_poll_every_face_tells_of_the_mains(stages: Stages) -> None:
    """At sixty times the speed all protocols agree, on their failure and on their return.

    Among them is the platform, which then has the report of the alarm.
    """
    stage = stages.make(60)
    await stage.told()
    walk = Walk(stage)

    async def all_say(good: bool, seconds: float) -> None:
        async def do() -> bool:
            told.append(await deferToThreadPool(stage.reactor, stage.pool, walk.told))
            return set(told[-1].values()) == {good}

        told: list[dict[str, bool]] = []
        try:
            await until(stage.reactor, "all to agree", do, seconds)
        except TimedOut:
            raise AssertionError(f"{good} is not what all say: {told[-1]}") from None

    await all_say(True, 20)
    begun = stage.reactor.seconds()
    twin = f"http://127.0.0.1:{stage.twin.port('control')}"
    await stage.client.send("POST", f"{twin}{SCENARIO}", {"name": "mains-failure"})
    await all_say(False, WITHIN_S)
    assert stage.reactor.seconds() - begun < WITHIN_S
    await until(stage.reactor, "the mains", lambda: stage.twin.world.mains.usable(("r",)), 15)
    assert stage.reactor.seconds() - begun > 9  # ten minutes
    returned = stage.reactor.seconds()
    await all_say(True, WITHIN_S)
    assert stage.reactor.seconds() - returned < WITHIN_S


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.timeout(300)
async def test_what_takes_longer_is_reported_too(stages: Stages) -> None:
    """So it does for all the others."""
    assert await stages.play(LONG) == []
    assert all("Traceback" not in stage.running.text for stage in stages.made)
