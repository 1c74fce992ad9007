"""A fleet of gantries against a platform and a cloud: what the generator itself takes.

Three processes: the peers, the fleet, and this one, which watches the fleet. The period of the
bar is 300 s; the load of the seconds that are watched is what it always is, for the phases are
spread evenly.
"""

import argparse
import gc
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import psutil
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from twisted.web.server import Request

from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure, on_reactor
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.net.open_files import open_files
from twisted_gantry.twin.fleet.service import SPARE_FILES, build_fleet, raise_open_files
from twisted_gantry.twin.fleet.settings import MAX_GANTRIES, FleetSettings
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.reports import decode_report
from twisted_gantry.wire.fogslink import messages as fogslink

GANTRIES, WATCH_S, SETTLE_S = 5000, 60.0, 6.0
PERIOD_S, CONNECT_RATE = 300.0, 200.0
SAMPLE_S = 1.0


class Monitor:
    """A `monitor.do` that checks every upload as a platform does, of any gantry."""

    app = Klein()

    @app.route("/monitor.do", methods=["POST"])
    def monitor(self, request: Request) -> bytes:
        assert request.content is not None
        body = request.content.read()
        names = (etc.MD5_HEADER, etc.AUTH_HEADER)
        headers = {name: request.getHeader(name) or "" for name in names}
        try:
            given = etc.check_request(
                body,
                headers,
                auth=etc.TEST_AUTH,
                methods=etc.MONITOR,
                gantry_id=None,
                now=time.time(),
                skew=300,
            )
            if given.method is etc.Method.CARDS:
                return etc.card_answer(given.fields["curVersion"], None).encode()
            decode_report(given.method, given.fields)
        except etc.EtcRefused as refused:
            return etc.answer(refused.code).encode()
        return etc.answer(etc.EtcCode.SUCCESS).encode()


class Cloud(LineOnlyReceiver):
    """A session of the cloud: it accepts every login and all data."""

    delimiter = fogslink.DELIMITER
    MAX_LENGTH = fogslink.MAX_LINE

    def lineReceived(self, line: bytes) -> None:
        assert self.transport is not None
        answer: fogslink.Response
        match fogslink.decode_request(line):
            case fogslink.Heartbeat(eq_sn=eq_sn):
                answer = fogslink.HeartbeatAnswer(eq_sn=eq_sn)
            case fogslink.Pack(eq_sn=eq_sn, pack_id=pack_id):
                answer = fogslink.PackAnswer(eq_sn=eq_sn, pack_id=pack_id, code="8")
            case fogslink.Identify(eq_sn=eq_sn):
                answer = fogslink.Identified(eq_sn=eq_sn, code="0", t_key=f"key-{eq_sn}")
            case fogslink.Authenticate(eq_sn=eq_sn):
                answer = fogslink.Authenticated(eq_sn=eq_sn, code="0")
            case _:
                return
        self.transport.write(fogslink.encode(answer))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Nothing is kept."""


async def peers(reactor: Any) -> None:
    """Serve until killed; prints the two ports."""
    gc.disable()  # its pauses would show as latencies
    open_files(MAX_GANTRIES + SPARE_FILES)
    site = bounded_site(Monitor().app.resource(), reactor, Limits(connections=512), Counter())
    monitor = reactor.listenTCP(0, site, backlog=512, interface="127.0.0.1")
    cloud = reactor.listenTCP(0, Factory.forProtocol(Cloud), backlog=512, interface="127.0.0.1")
    print(json.dumps([monitor.getHost().port, cloud.getHost().port]), flush=True)
    await Deferred()


def ramp_s(count: int) -> float:
    """Return how long until all sessions are up, and the start is over."""
    return count / CONNECT_RATE + SETTLE_S


async def generate(reactor: Any, settings: FleetSettings, seconds: float) -> None:
    """Run a fleet for its ramp and `seconds`; prints how it fared."""
    raise_open_files(settings)
    fleet = build_fleet(settings, reactor, time.time)
    fleet.startService()
    await deferLater(reactor, ramp_s(settings.gantries) + seconds)
    shown = fleet.shown()
    began = time.perf_counter()
    await fleet.stopService()
    shown["stopped"] = time.perf_counter() - began
    sockets = psutil.Process().net_connections("tcp")
    shown["left"] = len(reactor.getDelayedCalls()) + len(sockets)
    print(json.dumps(shown), flush=True)


def watch(count: int, seconds: float) -> bool:
    print(f"fleet: {count:,} gantries, reports every {PERIOD_S:g} s, watched for {seconds:g} s")
    this = [sys.executable, str(Path(__file__))]
    with subprocess.Popen([*this, "--peers"], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            ports = json.loads(other.stdout.readline())
            command = [*this, "--fleet", str(count), "--seconds", str(seconds), "--ports"]
            with subprocess.Popen(
                [*command, *map(str, ports)], stdout=subprocess.PIPE, text=True
            ) as fleet:
                used, resident = measure(psutil.Process(fleet.pid), count, seconds)
                assert fleet.stdout is not None
                shown = json.loads(fleet.stdout.read())
        finally:
            other.kill()
    return judged(count, shown, used, resident)


def measure(process: psutil.Process, count: int, seconds: float) -> tuple[float, float]:
    """Return the share of a core within the watched time, and the most MiB ever resident."""
    most = 0.0
    marks = []
    for length in (ramp_s(count), seconds - SAMPLE_S):
        until = time.perf_counter() + length
        while time.perf_counter() < until:
            time.sleep(SAMPLE_S)
            most = max(most, process.memory_info().rss / 2**20)
        marks.append((time.perf_counter(), sum(process.cpu_times()[:2])))
    (began, before), (ended, after) = marks
    return (after - before) / (ended - began) * 100, most


def judged(count: int, shown: dict[str, Any], used: float, resident: float) -> bool:
    """Print the figures and the bars; True if all bars are met."""
    cloud = shown["fogslink"]
    kinds = {
        "uploads": shown["etc"],
        "packs": cloud["packs"],
        "heartbeats": cloud["heartbeats"],
    }
    for name, kind in kinds.items():
        figure(f"{name} sent", kind["sent"], "")
        figure(f"{name}, median latency", kind["latencyMs"]["p50"], "ms")
        figure(f"{name}, 99th percentile", kind["latencyMs"]["p99"], "ms")
    figure("clean stop", shown["stopped"], "s")
    refused = sum(sum(kind["refused"].values()) for kind in kinds.values())
    lost = sum(kind["lost"] + kind["skipped"] for kind in kinds.values())
    dropped = cloud["counts"].get("cut", 0) + cloud["counts"].get("not-connected", 0)
    return all(
        [
            bar("sessions up", cloud["sessionsUp"], "", count, least=True),
            bar("connections that were lost or refused", dropped, "", 0),
            bar("messages lost or skipped", lost, "", 0),
            bar("messages refused", refused, "", 0),
            bar("timers and sockets left after the stop", shown["left"], "", 0),
            bar("generator, resident", resident, "MiB", 1024),
            bar("generator, of a core", used, "%", 100),
        ]
    )


def main() -> bool:
    """Run it in a process of its own."""
    return again("fleet")


def program() -> int:
    """Run one of the three processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fleet", type=int, default=GANTRIES)
    parser.add_argument("--seconds", type=float, default=WATCH_S)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--ports", type=int, nargs=2)
    given = parser.parse_args()
    if given.peers:
        on_reactor(peers)
    elif given.ports:
        monitor, cloud = given.ports
        settings = FleetSettings(
            gantries=given.fleet,
            platform=f"http://127.0.0.1:{monitor}/monitor.do",
            cloud=f"tcp:127.0.0.1:{cloud}",
            report_period=PERIOD_S,
            pack_period=PERIOD_S,
            connect_rate=CONNECT_RATE,
            seed=Random().randrange(1000),
        )
        on_reactor(lambda reactor: generate(reactor, settings, given.seconds))
    else:
        return 0 if watch(given.fleet, given.seconds) else 1
    return 0


if __name__ == "__main__":
    sys.exit(program())
