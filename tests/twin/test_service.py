"""The twin as a whole: its ports, its clock, its end; and the options of `gantry-twin`."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import defer
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.python.usage import UsageError

from tests.twin.helpers import AUTH, NOW, report
from tests.wire.upscard.readings import decode_live
from twisted_gantry.net.http.client import Answer, BoundedClient, persistent_pool, treq_client
from twisted_gantry.net.listener import CannotListen
from twisted_gantry.twin.faults.settings import FACES, UPS_TCP
from twisted_gantry.twin.fleet.service import build_fleet
from twisted_gantry.twin.fleet.settings import FleetSettings
from twisted_gantry.twin.service import ON_FREE_PORTS, Stepper, Twin, TwinSettings, build_twin
from twisted_gantry.twin.tap import Options, Program, makeService
from twisted_gantry.twin.world.model import World, WorldError
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.answers import decode_answer
from twisted_gantry.wire.frames import ObjectFramer

_OPTIONS: Any = Options  # Twisted does not say what it takes
ANY = "tcp:0:interface=127.0.0.1"


class CardClient(Protocol):
    """Asks a card, one command at a time."""

    def __init__(self) -> None:
        self.framer = ObjectFramer()
        self.waiting: defer.Deferred[dict[str, Any]] = defer.Deferred()
        self.gone: defer.Deferred[None] = defer.Deferred()

    def ask(self, cmd: str, **fields: str) -> defer.Deferred[dict[str, Any]]:
        """Send a command; its reply follows."""
        self.waiting = defer.Deferred()
        assert self.transport is not None
        self.transport.write(json.dumps({"session": "1", "cmd": cmd, **fields}).encode())
        return self.waiting

    def dataReceived(self, data: bytes) -> None:
        for frame in self.framer.feed(data):
            self.waiting.callback(json.loads(frame))

    def connectionLost(self, reason: Any = None) -> None:
        self.gone.callback(None)


class Site:
    """A twin on real sockets, and a client of it."""

    def __init__(self, reactor: Any, twin: Twin) -> None:
        self.reactor, self.twin = reactor, twin
        self.pool = persistent_pool(reactor)
        self.client = BoundedClient(treq_client(reactor, self.pool), reactor, deadline=5)

    async def control(self, method: str, path: str, content: Any = None) -> Any:
        """Call the control API; the answer must be a 200."""
        body = None if content is None else json.dumps(content).encode()
        url = f"http://127.0.0.1:{self.twin.port('control')}/twin/v1{path}"
        answer = await self.client.request(method, url, body=body)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    async def report(self, body: bytes) -> Answer:
        url = f"http://127.0.0.1:{self.twin.port('etc')}/monitor.do"
        return await self.client.request(
            "POST", url, body=body, headers=etc.signed_headers(body, AUTH)
        )

    async def card(self) -> CardClient:
        place = f"tcp:127.0.0.1:{self.twin.port('ups-tcp')}"
        client = CardClient()
        await connectProtocol(clientFromString(self.reactor, place), client)
        return client


@asynccontextmanager
async def running(**changes: Any) -> AsyncIterator[Site]:
    from twisted.internet import reactor

    settings = TwinSettings(**{**ON_FREE_PORTS, "seed": 1, **changes})
    twin = build_twin(settings, reactor, lambda: NOW)
    twin.startService()
    site = Site(reactor, twin)
    try:
        yield site
    finally:
        await site.pool.closeCachedConnections()
        await twin.stopService()


async def test_all_faces_show_one_world() -> None:
    """A mains failure made through the control API is in the very next QAD, and in the answer."""
    async with running(ups_password="secret") as site:
        card = await site.card()
        assert (await card.ask("QAD"))["result"] == "103"
        reply = await card.ask("QAD", **{"pass": "secret"})
        assert reply["value"].endswith("0000000000000011")
        await site.control("PATCH", "/world", {"mains.voltage": 0})
        reply = await card.ask("QAD", **{"pass": "secret"})
        assert reply["value"].endswith("0000000010000100")
        assert (await card.ask("SOFF", **{"pass": "secret"}))["value"] == "(OK"
        assert (await site.control("GET", "/world"))["ups1.state"] == "shutdown"


async def test_a_report_over_a_socket_is_received() -> None:
    """What a client posts is answered 1000 and shown, with the code masked."""
    async with running() as site:
        answer = await site.report(report())
        assert decode_answer(answer.body).code == "1000"
        (kept,) = (await site.control("GET", "/etc/requests"))["requests"]
        assert kept["headers"]["binfile-auth"] == "***"
        counts = await site.control("GET", "/counts")
        assert counts["etc"]["code-1000"] == 1


async def test_a_frozen_card_does_nothing_for_who_has_left() -> None:
    """Over a socket: a peer that goes is let go of, and there is room for others."""
    async with running() as site:
        site.twin.faults.put(UPS_TCP, {"frozen": True})
        for _ in range(70):
            card = await site.card()
            assert card.transport is not None
            card.transport.write(b'{"session":"1","cmd":"SOFF"}')
            card.transport.loseConnection()
            await card.gone.addTimeout(5, site.reactor)
        await deferLater(site.reactor, 0.05)  # until the last one is known to have gone
        site.twin.faults.clear(UPS_TCP)
        card = await site.card()
        reply = await card.ask("QAD")
        assert decode_live(reply["value"])["state"].value == "line"
        counts = await site.control("GET", "/counts")
        assert (counts["ups-tcp"]["connections"], counts["ups-tcp"]["answered"]) == (71, 1)


async def test_a_fleet_is_at_home_where_every_gantry_is_known() -> None:
    """Over sockets: all sessions up, more of them than one gantry may have, and nothing refused."""
    async with running(any_gantry=True) as site:
        settings = FleetSettings(
            gantries=100,
            platform=f"http://127.0.0.1:{site.twin.port('etc')}/monitor.do",
            cloud=f"tcp:127.0.0.1:{site.twin.port('fogslink')}",
            report_period=1.0,
            pack_period=1.0,
            connect_rate=1000.0,
        )
        fleet = build_fleet(settings, site.reactor, lambda: NOW)
        fleet.startService()
        try:
            for _ in range(1000):
                shown = fleet.shown()
                uploads, cloud = shown["etc"], shown["fogslink"]
                if uploads["acknowledged"] >= 300 and cloud["packs"]["acknowledged"] >= 100:
                    break
                await deferLater(site.reactor, 0.05)
            assert cloud["sessionsUp"] == 100
            assert uploads["acknowledged"] >= 300
            assert cloud["packs"]["acknowledged"] >= 100
            refused = [uploads["refused"], cloud["refused"], cloud["packs"]["refused"]]
            assert refused == [{}, {}, {}]
        finally:
            await fleet.stopService()


async def test_a_cut_connection_is_cut_on_the_socket() -> None:
    """`drop` loses the answer over a real connection; the report was taken."""
    async with running() as site:
        await site.control("PUT", "/faults/etc", {"drop": 1})
        with pytest.raises(Exception, match=r"closed|lost|failed"):
            await site.report(report())
        (kept,) = (await site.control("GET", "/etc/requests"))["requests"]
        assert kept["answer"]["code"] == "1000"


async def test_refused_cards_close_at_once() -> None:
    """With `refuse` a connection is made and ended by the card."""
    async with running() as site:
        await site.control("PUT", "/faults/ups-tcp", {"refuse": True})
        card = await site.card()
        await card.gone.addTimeout(5, site.reactor)


async def test_the_world_moves_with_the_reactor() -> None:
    """Simulated time passes, here 3,600 times as fast, and drains the battery."""
    async with running(speed=3600.0, world={"mains.voltage": 0}) as site:
        before = await site.control("GET", "/world")
        for _ in range(5000):  # far more than a second's worth of questions
            now = await site.control("GET", "/world")
            if now["world.elapsed"] >= before["world.elapsed"] + 600:
                break
        assert now["ups1.battery_charge"] < before["ups1.battery_charge"] - 1


async def test_stopping_ends_every_session() -> None:
    """After the stop nothing listens, and open sessions are cut."""
    async with running() as site:
        card = await site.card()
        await card.ask("QAD")
        port = site.twin.port("ups-tcp")
        await site.twin.stopService()
        await card.gone.addTimeout(5, site.reactor)
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
        with pytest.raises(RuntimeError, match="ups-tcp does not listen"):
            site.twin.port("ups-tcp")


async def test_a_port_in_use_fails_the_start_and_leaves_nothing() -> None:
    """The error names the face and its endpoint, and what had started is stopped again."""
    from twisted.internet import reactor as global_reactor

    reactor: Any = global_reactor
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        settings = TwinSettings(**{**ON_FREE_PORTS, "etc": place})
        twin = build_twin(settings, reactor, lambda: NOW)
        with pytest.raises(CannotListen, match=f"etc cannot listen on {place}"):
            twin.startService()
    assert not twin.running
    for _ in range(3):  # the turns that the ports need to close
        await deferLater(reactor, 0)
    for name in twin.listeners:
        with pytest.raises(RuntimeError):
            twin.port(name)


def test_the_world_steps_with_the_clock_and_the_speed() -> None:
    """Ten ticks of a tenth of a second at speed 60 are a simulated minute."""
    clock = Clock()
    twin = build_twin(TwinSettings(speed=60.0), MemoryReactorClock(), lambda: NOW)
    stepper = Stepper(twin.world, clock, lambda: 60.0)
    stepper.startService()
    clock.pump([0.1] * 10)
    assert twin.world.elapsed_s == pytest.approx(60)
    stepper.stopService()
    clock.advance(1)
    assert twin.world.elapsed_s == pytest.approx(60)
    assert not clock.getDelayedCalls()


def test_a_stall_is_not_made_up_for() -> None:
    """After an hour in which nothing ran, the world goes on by a second's worth."""
    clock = Clock()
    twin = build_twin(TwinSettings(), MemoryReactorClock(), lambda: NOW)
    stepper = Stepper(twin.world, clock, lambda: 10.0)
    stepper.startService()
    clock.advance(3600)
    assert twin.world.elapsed_s == pytest.approx(10)
    stepper.stopService()


def test_an_error_in_a_step_does_not_stop_the_world(
    monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
) -> None:
    """It is logged, and the next tick comes."""
    clock = Clock()
    twin = build_twin(TwinSettings(), MemoryReactorClock(), lambda: NOW)
    stepper = Stepper(twin.world, clock, lambda: 1.0)
    stepper.startService()
    with monkeypatch.context() as patch:
        patch.setattr(World, "step", lambda *_: 1 / 0)
        clock.advance(0.1)
    assert [type(failure.value) for failure in logged_failures] == [ZeroDivisionError]
    logged_failures.clear()
    clock.advance(0.1)
    assert twin.world.elapsed_s == pytest.approx(0.1)
    stepper.stopService()


def test_without_settings_it_is_the_demo() -> None:
    """The default twin listens on the demo's ports, on loopback alone."""
    reactor = MemoryReactorClock()
    twin = build_twin(TwinSettings(), reactor, lambda: NOW)
    twin.privilegedStartService()
    twin.startService()
    assert {(port, interface) for port, _, _, interface in reactor.tcpServers} == {
        (port, "127.0.0.1") for port in (2390, 2380, 4700, 4800, 3700, 8088, 63321, 4750, 8081)
    }
    twin.stopService()


@pytest.mark.parametrize(
    "bad", [{"speed": 0.0}, {"speed": 3601.0}, {"speed": float("nan")}, {"ups_password": "x" * 16}]
)
def test_settings_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    """What cannot be is refused when it is set."""
    with pytest.raises(ValueError):
        TwinSettings(**bad)


def test_a_world_that_cannot_be_is_refused() -> None:
    """A wrong name in the first change of the world fails the build."""
    with pytest.raises(WorldError, match="moon"):
        build_twin(TwinSettings(world={"moon.phase": 1}), MemoryReactorClock(), lambda: NOW)


def test_an_endpoint_that_is_none_is_named() -> None:
    """The error tells the face and the text."""
    with pytest.raises(ValueError, match="etc: 'carrier:pigeon' is no endpoint"):
        build_twin(TwinSettings(etc="carrier:pigeon"), MemoryReactorClock(), lambda: NOW)


def test_equal_seeds_give_equal_twins() -> None:
    """Noise and faults of two twins with one seed are alike, with another they differ."""
    seen = []
    for seed in (1, 1, 2):
        twin = build_twin(TwinSettings(seed=seed), MemoryReactorClock(), lambda: NOW)
        twin.world.step(0.1)
        seen.append((twin.world.ups["ups1"].jitter, twin.faults.garbage()))
    assert seen[0] == seen[1] != seen[2]


def parse(*arguments: str) -> TwinSettings:
    """Return what the options of a command line come to."""
    options: Any = _OPTIONS()
    options.parseOptions(list(arguments))
    settings: TwinSettings = options.settings
    return settings


def test_the_options_become_settings(tmp_path: Path) -> None:
    """Speed, seed, control endpoint and a world of nested or dotted names."""
    world = tmp_path / "world.toml"
    world.write_text('"ups1.load_w" = 500\n[mains]\nvoltage = 0\n[ups1]\nmode = "economy"\n')
    settings = parse("--speed", "60", "--seed", "7", "--control", ANY, "--world", str(world))
    assert settings == TwinSettings(
        speed=60.0,
        seed=7,
        control=ANY,
        world={"ups1.load_w": 500, "mains.voltage": 0, "ups1.mode": "economy"},
    )
    assert parse() == TwinSettings()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--speed", "0"),
        ("--speed", "fast"),
        ("--speed", "nan"),
        ("--seed", "1.5"),
        ("--control", "pigeon"),
        ("--control", "tcp:x"),
        ("--world", "/there/is/no/such.toml"),
    ],
)
def test_a_bad_option_is_named(arguments: tuple[str, str]) -> None:
    """The usage error begins with the option."""
    with pytest.raises(UsageError, match=f"^{arguments[0]}: "):
        parse(*arguments)


@pytest.mark.parametrize("text", ["mains = [", "[moon]\nphase = 1", "[ups1]\nstate = 'line'"])
def test_a_bad_world_is_named(tmp_path: Path, text: str) -> None:
    """A file that is no TOML, or no world, is named with what is wrong in it."""
    world = tmp_path / "world.toml"
    world.write_text(text)
    with pytest.raises(UsageError, match=r"^--world: .*world\.toml: "):
        parse("--world", str(world))


def test_make_service_builds_a_twin_on_the_reactor() -> None:
    """The service of the plugin is a whole twin, not yet listening."""
    options: Any = _OPTIONS()
    options.parseOptions([])
    program = makeService(options)
    assert isinstance(program, Program)
    assert isinstance(program.twin, Twin)
    assert set(program.twin.listeners) == {*FACES, "control"}


async def test_a_program_that_cannot_listen_ends_with_one_line() -> None:
    """Which face, where, and why; a daemon tells its parent by the exception."""
    from twisted.internet import reactor

    async with running() as site:
        taken = f"tcp:{site.twin.port('etc')}:interface=127.0.0.1"
        settings = TwinSettings(**{**ON_FREE_PORTS, "etc": taken})
        for daemon, ends_by in ((False, SystemExit), (True, CannotListen)):
            twin: Any = build_twin(settings, reactor, lambda: NOW)
            program = Program(twin, daemon=daemon)
            with pytest.raises(ends_by, match=f"etc cannot listen on {taken}"):
                program.startService()
            await twin.stopService()
