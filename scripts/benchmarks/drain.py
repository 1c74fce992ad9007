"""48 hours of packs, one a second, drained to the Fogslink cloud after an outage.

The real store on the disk, real sockets on loopback, in order and without a loss. Beside it, in
turn: a client with neither a store nor a state machine that sends packs to the same cloud, each
after the acknowledgement of the one before.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import psutil
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    connectProtocol,
)
from twisted.internet.task import LoopingCall, deferLater
from twisted.protocols.basic import LineOnlyReceiver

from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure, on_reactor
from twisted_gantry.core.alarms import Alarms
from twisted_gantry.core.catalogue import Catalogue
from twisted_gantry.core.commands.door import CommandDoor
from twisted_gantry.core.moments import present
from twisted_gantry.core.points import Points
from twisted_gantry.core.site import Site
from twisted_gantry.core.stored import Cap
from twisted_gantry.store.opening import open_store
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.twin.faces.fogslink.cloud import Cloud, CloudFactory
from twisted_gantry.twin.faults.settings import Faults
from twisted_gantry.uplinks.fogslink.sender import PACK
from twisted_gantry.uplinks.fogslink.uplink import FogslinkSettings, fogslink_uplink
from twisted_gantry.wire.fogslink.messages import (
    DELIMITER,
    Authenticate,
    Authenticated,
    Heartbeat,
    Identified,
    Identify,
    Item,
    Pack,
    PackAnswer,
    decode_response,
    encode,
)
from twisted_gantry.wire.secret import Secret

OUTAGE = 48 * 3600
OURS, TRIVIAL, KEY = "12345678", "87654321", "1234567890123456"
ITEMS = 10
RAW_PACKS = 20_000
IN_FLIGHT = 500
MIB = 2**20
NAME = "fogslink"
CAP = Cap(10**12, 10**9)


def pack(eq_sn: str, number: int) -> bytes:
    """Return the line of a pack of some channels."""
    items = tuple(
        Item(e_chan=f"P0-C{at}", e_val=f"{220 + number % 97 / 10:g}") for at in range(ITEMS)
    )
    return encode(Pack(eq_sn=eq_sn, pack_id=str(number), total_size=ITEMS, eq_data=items))


class Trivial(LineOnlyReceiver):
    """Sends `lines`, one after the other's acknowledgement; `done` fires with the seconds."""

    delimiter = DELIMITER

    def __init__(self, lines: list[bytes]) -> None:
        self.done: Deferred[float] = Deferred()
        self._lines, self._next, self._began = lines, 0, 0.0

    def connectionMade(self) -> None:
        """Say who we are."""
        self._send(encode(Identify(eq_sn=TRIVIAL)))

    def lineReceived(self, line: bytes) -> None:
        message = decode_response(line)
        if isinstance(message, Identified):
            assert isinstance(message.t_key, str)
            beat = encode(Heartbeat(eq_sn=TRIVIAL, t_key=message.t_key))
            self._beats = LoopingCall(self._send, beat)
            self._send(encode(Authenticate(eq_sn=TRIVIAL, api_key=KEY)))
        elif isinstance(message, Authenticated):
            self._beats.start(3.0)
            self._began = time.perf_counter()
            self._send(self._lines[0])
        elif isinstance(message, PackAnswer):
            assert message.code == "8"
            self._next += 1
            if self._next < len(self._lines):
                self._send(self._lines[self._next])
            else:
                self._beats.stop()
                assert self.transport is not None
                self.transport.loseConnection()
                self.done.callback(time.perf_counter() - self._began)

    def _send(self, line: bytes) -> None:
        assert self.transport is not None
        self.transport.write(line)


async def raw_rate(reactor: Any, port: int, first: int) -> float:
    """Return the packs a second of the trivial client."""
    lines = [pack(TRIVIAL, first + at) for at in range(RAW_PACKS)]
    client = Trivial(lines)
    await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), client)
    return RAW_PACKS / await client.done


async def fill(store: SqliteStore, packs: int) -> None:
    """Store the packs of an outage, as the uplink does."""
    left = iter(range(1, packs + 1))

    async def lane() -> None:
        for number in left:
            body = pack(OURS, number).removesuffix(DELIMITER)
            setting = (f"{NAME}.last-pack", number)
            await store.add_report(NAME, PACK, str(number), body, False, CAP, setting)
            if number % 20_000 == 0:
                print(f"  … {number} packs stored", flush=True)

    await gatherResults([Deferred.fromCoroutine(lane()) for _ in range(IN_FLIGHT)])


async def drain(reactor: Any, store: SqliteStore, cloud: Cloud, port: int, packs: int) -> Any:
    """Return the packs a second of the uplink, and by how many MiB the process grew."""
    points = Points(Catalogue(), time.time)
    site = Site(
        gantry_id="G000211001002110010",
        name="bench",
        timezone="Asia/Shanghai",
        started_at=time.time(),
        points=points,
        alarms=Alarms(points, reactor, time.time),
        door=CommandDoor({}, store, reactor, time.time, lambda: "1"),
        store=store,
        devices={},
        uplinks={},
    )
    settings = FogslinkSettings(
        address=f"tcp:127.0.0.1:{port}",
        eq_sn=OURS,
        api_key=Secret(KEY),
        channels={"P0-C0": "ups1.input_voltage_r"},
        period=86_400.0,
        backlog_age=0.0,
    )
    uplink = fogslink_uplink(settings, site, reactor, time.time, Random(1).random)
    process = psutil.Process()
    before = most = process.memory_info().rss
    target = cloud.counts["packs"] + packs
    shown = began = time.perf_counter()
    uplink.startService()
    while cloud.counts["packs"] < target:
        await deferLater(reactor, 0.05)
        most = max(most, process.memory_info().rss)
        if time.perf_counter() - shown > 5:
            shown = time.perf_counter()
            print(f"  … {packs - (target - cloud.counts['packs'])} packs drained", flush=True)
    rate = packs / (time.perf_counter() - began)
    while (await store.ledger(NAME)).queued:
        await deferLater(reactor, 0.05)
    stopped = uplink.stopService()
    if stopped is not None:
        await stopped
    return rate, (most - before) / MIB


async def work(reactor: Any, packs: int) -> bool:
    print(f"drain: {packs} packs of {ITEMS} values from the disk to the cloud")
    faults = Faults(reactor.seconds, Random(1))
    cloud = Cloud(faults, reactor, time.time, {OURS: KEY, TRIVIAL: KEY})
    endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    listening = await endpoint.listen(CloudFactory(cloud))
    port = listening.getHost().port
    # On the disk that holds the checkout: a folder in memory would flatter us.
    with tempfile.TemporaryDirectory(dir=".") as folder:
        store = open_store(Path(folder), reactor, present)
        await fill(store, packs)
        raw = [await raw_rate(reactor, port, 1)]
        rate, grown = await drain(reactor, store, cloud, port, packs)
        raw.append(await raw_rate(reactor, port, RAW_PACKS + 1))
        ledger = await store.ledger(NAME)
        await store.close()
    await listening.stopListening()
    while cloud.sessions:
        cloud.sessions[0].abortConnection()
        await deferLater(reactor, 0)
    wrong = cloud.records.gaps + cloud.records.duplicates
    wrong += cloud.counts["out-of-order"] + cloud.counts["conflict"]
    wrong += ledger.created - ledger.delivered
    figure("the trivial client without a store", sum(raw) / 2, "/s")
    figure("the uplink from its outbox", rate, "/s")
    return all(
        [
            bar("uplink to trivial client", rate / (sum(raw) / 2), "×", 0.5, least=True),
            bar("packs lost, twice or out of order", wrong, "", 0),
            bar("growth of the process, resident", grown, "MiB", 48),
        ]
    )


def main() -> bool:
    """Run it in a process of its own."""
    return again("drain")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--packs", type=int, default=OUTAGE)
    chosen = arguments.parse_args().packs
    sys.exit(0 if on_reactor(lambda reactor: work(reactor, chosen)) else 1)
