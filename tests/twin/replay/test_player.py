"""A recording of the real driver on the twin, played back to the same driver, in memory."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from zope.interface import implementer

from tests.devices.upscard.rigs import CALLBACK, URL, Networks, client_to
from tests.net.memory import Connection
from tests.support import Bench, MemoryNetwork, TestClock, in_no_thread, no_computers
from tests.twin.helpers import http
from twisted_gantry.core.interfaces import ICallbackHost
from twisted_gantry.devices.bms.driver import Bms, BmsSettings
from twisted_gantry.devices.bms.ems import EmsClient
from twisted_gantry.devices.cabinet.driver import CabinetSettings, SmartCabinet
from twisted_gantry.devices.cfos.channel import CfosChannel, Credentials
from twisted_gantry.devices.cfos.driver import Cfos, CfosSettings
from twisted_gantry.devices.upscard.driver import UpsCard, UpsCardSettings
from twisted_gantry.devices.upscard.http import HttpLink, UpsCardHttpSettings
from twisted_gantry.devices.upscard.sources import Sources
from twisted_gantry.devices.upscard.tcp import TcpLink
from twisted_gantry.net.http.client import Answer, BoundedClient
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.net.record import FORMAT, BrokenRecording, Header, Line
from twisted_gantry.net.session import Backoff
from twisted_gantry.recording.service import Recording, RecordSettings, Tap
from twisted_gantry.remote.channel import ControlChannel, Stamps
from twisted_gantry.twin.faces.bms import BASE_PATH, Ems
from twisted_gantry.twin.faces.cabinet import monitor as cabinet_monitor
from twisted_gantry.twin.faces.cabinet.face import CabinetTwin
from twisted_gantry.twin.faces.cfos.face import ADMIN_PASSWORD, PowerBrain
from twisted_gantry.twin.faces.etc.sender import EtcSender
from twisted_gantry.twin.faces.upscard.card import UID, Card, UpsCardFactory
from twisted_gantry.twin.faces.upscard.http import UpsHttpFace
from twisted_gantry.twin.faults.injection import FaultInjector
from twisted_gantry.twin.faults.settings import CABINET, Faults
from twisted_gantry.twin.replay.player import (
    MAX_WAITING,
    Caller,
    Player,
    ReplayResource,
    build_replay,
    replay_factory,
)
from twisted_gantry.twin.replay.tape import CannotReplay, Recorded, Turn, read_device
from twisted_gantry.twin.service import ON_FREE_PORTS, TwinSettings
from twisted_gantry.twin.world.model import World
from twisted_gantry.web.callbacks import CallbackHost
from twisted_gantry.web.monitor.endpoint import Monitor, MonitorSettings
from twisted_gantry.wire.secret import Secret

CARD_PASSWORD = "hunter22"
AUTH = "auth-98765"
DEVICE_UID = "bms-0001"
MONITOR_URL = "http://127.0.0.1:8082/monitor.do"
SECRETS = (CARD_PASSWORD, ADMIN_PASSWORD, AUTH)
MAC = "6d-31-0c"  # of the cFos twin
IDENTIFIERS = (UID, DEVICE_UID, "G000211001002110010", "192.168.7.33", "ems.example.net", MAC)
KINDS = ("ups-card", "ups-card-http", "cfos", "bms", "cabinet")


class Side:
    """A clock, a network to the device, and one back from it."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.clock: TestClock = self.bench.clock
        self.to_device = MemoryNetwork(self.clock, Factory())
        self.back = MemoryNetwork(self.clock, Factory())
        Networks().join(self.clock, self.to_device, self.back)
        self.back_client, pool = client_to(self.back, self.clock)
        self._ends: list[Callable[[], object]] = [pool.closeCachedConnections]

    def device_client(self, tap: Tap | None) -> BoundedClient:
        """Return a client to the device, listened in on if there is a tap."""
        client, pool = client_to(self.to_device, self.clock)
        self._ends.append(pool.closeCachedConnections)
        return client if tap is None else tap.client(client)

    def drive(self, kind: str, tap: Tap | None) -> Any:
        context, clock = self.bench.context, self.clock
        nothing: Callable[[], Any] = lambda: succeed(None)  # noqa: E731
        backoff = Backoff(1.0, 60.0, lambda: 1.0)
        device: Any
        if kind == "ups-card":
            endpoint = self.to_device if tap is None else tap.endpoint(self.to_device)
            device = UpsCard(
                "dev",
                SETTINGS[kind],
                context,
                lambda card: TcpLink(card, endpoint, "", clock, backoff),
            )
        elif kind == "ups-card-http":
            client = self.device_client(tap)
            callbacks = CallbackHost(clock)
            self.back.server = callbacks.site()
            sources = Sources("127.0.0.1", (), clock)
            sources.found(["unix"])  # the host of a peer in memory
            host: ICallbackHost = callbacks if tap is None else _TappedHost(callbacks, tap)
            device = UpsCard(
                "dev",
                SETTINGS[kind],
                context,
                lambda card: HttpLink(
                    card, URL, CALLBACK, client, host, sources, clock, backoff, nothing
                ),
                kind,
            )
        elif kind == "cfos":
            credentials = Credentials("admin", Secret(ADMIN_PASSWORD))
            channel = CfosChannel(SETTINGS[kind].url, credentials, self.device_client(tap))
            device = Cfos("dev", SETTINGS[kind], context, channel, nothing)
        elif kind == "bms":
            ems = EmsClient(SETTINGS[kind].url, DEVICE_UID, {}, self.device_client(tap))
            device = Bms("dev", SETTINGS[kind], context, ems, nothing)
        else:
            settings = SETTINGS[kind]
            client = self.device_client(tap)
            link = ControlChannel(
                settings.url, settings.auth, context.gantry_id, client, Stamps(clock.now).next
            )
            device = _TappedCabinet("dev", settings, context, link, nothing)
            device.tap = tap
            monitor_settings = MonitorSettings(listen="tcp:8082", auth=Secret(AUTH))
            monitor = Monitor(monitor_settings, self.bench.site, clock, clock.now, no_computers)
            self.back.server = bounded_site(
                monitor.resource(), clock, monitor.limits, monitor.counts
            )
        self.bench.add(device)
        return device

    def series(self, device: Any, seconds: float, act: Callable[[int], None]) -> list[Any]:
        """Run the driver; return all its points at every half second."""
        device.startService()
        shown = []
        for step in range(round(seconds * 2)):
            act(step)
            self.clock.run(0.5)
            points = self.bench.points.under("dev.")
            shown.append({each.name: (each.value, each.quality.value) for each in points})
        device.stopService()
        return shown

    def end(self) -> None:
        """Close what is open, and see that no timer is left."""
        for end in self._ends:
            end()
        self.bench.alarms.stop()
        for network in (self.to_device, self.back):
            for pump in network.pumps:
                pump.serverIO.abortConnection()
                pump.clientIO.abortConnection()
        self.clock.run(1)
        assert self.clock.getDelayedCalls() == []


@implementer(ICallbackHost)
class _TappedHost:
    def __init__(self, host: CallbackHost, tap: Tap) -> None:
        self._host, self._tap = host, tap

    def register(
        self, url: str, receiver: Callable[[bytes], bool], is_source: Callable[[str], bool]
    ) -> Callable[[], None]:
        return self._host.register(url, self._tap.receiver(url, receiver), is_source)


class _TappedCabinet(SmartCabinet):
    tap: Tap | None = None

    def uploaded(self, fields: Any, *, clock_good: bool, repaired: bool = False) -> None:
        if self.tap is not None:
            self.tap.uploaded(fields)
        super().uploaded(fields, clock_good=clock_good, repaired=repaired)


SETTINGS: dict[str, Any] = {
    "ups-card": UpsCardSettings(address="tcp:192.168.7.33:2390", password=Secret(CARD_PASSWORD)),
    "ups-card-http": UpsCardHttpSettings(
        url=URL, callback=CALLBACK, password=Secret(CARD_PASSWORD)
    ),
    "cfos": CfosSettings(url="http://192.168.7.33", password=Secret(ADMIN_PASSWORD), poll=2.0),
    "bms": BmsSettings(url=f"http://ems.example.net{BASE_PATH}", device_uid=DEVICE_UID, poll=1.0),
    "cabinet": CabinetSettings(
        url="http://192.168.7.33:3700/remotecontrol.do", auth=Secret(AUTH), poll=3.0
    ),
}


class Twin:
    """The twin of a kind on one side, with a moving world."""

    def __init__(self, kind: str, side: Side) -> None:
        clock = side.clock
        self.world = World(random.Random(1))
        self.faults = Faults(clock.seconds, random.Random(1))
        self.service: Any = None
        nothing: Callable[[], Any] = lambda: succeed(None)  # noqa: E731
        server: IProtocolFactory
        card = Card(self.world.ups["ups1"], password=CARD_PASSWORD)
        if kind == "ups-card":
            server = UpsCardFactory(card, self.faults, clock)
        elif kind == "ups-card-http":
            self.service = UpsHttpFace(card, self.faults, clock, side.back_client, nothing)
            server = self.service.site()
        elif kind == "cfos":
            server = PowerBrain(self.world.charging, self.faults, clock, clock.now).site()
        elif kind == "bms":
            server = Ems({DEVICE_UID: self.world.storage["bms1"]}, self.faults, clock).site()
        else:
            self.service = CabinetTwin(
                self.world.cabinet,
                self.faults,
                clock,
                clock.now,
                side.back_client,
                gantry_id=side.bench.context.gantry_id,
                auth=AUTH,
                monitor_url=MONITOR_URL,
            )
            server = self.service.site()
        side.to_device.server = server
        if self.service is not None:
            self.service.startService()
        self._moving = LoopingCall(self.world.step, 0.1)
        self._moving.clock = clock
        self._moving.start(0.1, now=False)

    def act(self, step: int) -> None:
        if step == 13:
            self.world.change({"mains.voltage": 0})
        if step == 20:
            self.world.change({"mains.voltage": 231})

    def stop(self) -> None:
        self._moving.stop()
        if self.service is not None:
            self.service.stopService()


def record(kind: str, folder: Path) -> tuple[Path, list[Any]]:
    """Record the driver on the twin; return the file, and what its points were."""
    side = Side()
    twin = Twin(kind, side)
    recording = Recording(
        RecordSettings(folder="recordings"),
        folder,
        "1.2.3",
        side.clock,
        side.clock.now,
        in_no_thread,
        b"k" * 32,
        lambda reason: None,
    )
    tap = recording.tap("dev", kind, SETTINGS[kind], side.bench.context.gantry_id)
    device = side.drive(kind, tap)
    series = side.series(device, 16, twin.act)
    twin.stop()
    recording.stopService()
    side.end()
    [path] = (folder / "recordings").iterdir()
    return path, series


def replay(recorded: Recorded, speed: float = 1.0, seconds: float = 16) -> list[Any]:
    """Play a recording to a new driver, and return what its points were."""
    side = Side()
    player = Player(recorded, side.clock, speed)
    injector = FaultInjector(
        CABINET, Faults(side.clock.seconds, random.Random(1)), side.clock, player.counts
    )
    sender = EtcSender(
        side.back_client,
        injector,
        side.clock.now,
        gantry_id=side.bench.context.gantry_id,
        auth=AUTH,
    )
    monitor = cabinet_monitor.Monitor(sender, player.counts, MONITOR_URL)
    caller = Caller(player, side.back_client, monitor)
    side.to_device.server = replay_factory(recorded, player, caller, side.clock)
    device = side.drive(recorded.kind, None)
    caller.upload_unasked(recorded.uploads)
    series = side.series(device, seconds, lambda step: None)
    player.stop()
    caller.stop()
    side.end()
    assert player.counts["unrecorded"] == 0, player.counts
    return series


def shown(series: list[Any], kind: str) -> list[Any]:
    """Return points without what a recording hides: cFos writes a part of its MAC in its model."""
    hidden = ".model" if kind == "cfos" else "none"
    return [{k: v for k, v in points.items() if not k.endswith(hidden)} for points in series]


@pytest.mark.parametrize("kind", KINDS)
def test_the_driver_reads_from_a_replay_what_it_read_then(kind: str, tmp_path: Path) -> None:
    """At every half second its points are what they were, through a failure of the mains too."""
    path, then = record(kind, tmp_path)
    again = replay(read_device(path))
    assert shown(again, kind) == shown(then, kind)
    good = [value for value, quality in then[-1].values() if quality == "good"]
    assert len(good) >= 3
    if kind != "bms":
        assert len({str(sorted(each.items())) for each in then}) > 2  # the points did change


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_tells_who_and_nothing_opens(kind: str, tmp_path: Path) -> None:
    """No secret and no identifier is in the recording of a session."""
    path, _ = record(kind, tmp_path)
    content = path.read_text()
    assert [each for each in (*SECRETS, *IDENTIFIERS) if each in content] == []
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_end_of_a_recording_lasts(tmp_path: Path) -> None:
    """When the answers run out, the last is given again and again."""
    path, then = record("ups-card", tmp_path)
    assert replay(read_device(path), seconds=40)[-1] == then[-1]


# -- small recordings, written by hand


HEADER = Header(gantry_recording=FORMAT, version="1", recording="12345678", part=1, at="")


def line(t: float, way: Any, text: str = "", **more: Any) -> Line:
    """Return a line, of a UPS card over TCP unless `more` says otherwise."""
    given: dict[str, Any] = {"device": "ups1", "kind": "ups-card", "via": "tcp", "at": "", **more}
    return Line(t=t, way=way, text=text, **given)


def written(folder: Path, *lines: Line) -> Path:
    path = folder / "recording.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in (HEADER, *lines)))
    return path


def command(session: str, cmd: str = "QAD") -> str:
    return f'{{"session":"{session}","cmd":"{cmd}"}}'


class Peer:
    """A client of a replayed UPS card, and the clock."""

    def __init__(self, recorded: Recorded, speed: float = 1.0) -> None:
        self.clock = TestClock()
        self.player = Player(recorded, self.clock, speed)
        unused: Any = None
        factory: Any = replay_factory(recorded, self.player, unused, self.clock)
        self.network = MemoryNetwork(self.clock, factory)
        self.got = b""
        peer = self

        class _Client(Factory):
            def buildProtocol(self, addr: Any) -> Any:
                return peer

        self.network.connect(_Client())

    def makeConnection(self, transport: Any) -> None:
        self.transport = transport

    def dataReceived(self, data: bytes) -> None:
        self.got += data

    def connectionLost(self, reason: Any) -> None:
        """Be cut."""

    def ask(self, text: str, seconds: float) -> str:
        """Send a command, and return what comes within so many seconds."""
        self.got = b""
        self.transport.write(text.encode())
        self.clock.run(seconds, 0.1)
        return self.got.decode()


@pytest.fixture
def two_answers(tmp_path: Path) -> Recorded:
    """A card that answered one QAD at once, one after 2 s, and left one SON unanswered."""
    return read_device(
        written(
            tmp_path,
            line(0, "out", command("11111111")),
            line(0.1, "in", '{ uid: "9", "session" : "11111111", "cmd":"QAD", "value":"(1", }'),
            line(1, "out", command("22222222", "SON")),
            line(20, "out", command("33333333")),
            line(22, "in", '{"uid":"9","session":"33333333","cmd":"QAD","value":"(33333333"}'),
            line(30, "out", command("44444444")),
        )
    )


def test_answers_come_in_their_order_with_the_live_session(two_answers: Recorded) -> None:
    """Each answer is as it was, oddities and all, but for the session, in its field alone."""
    peer = Peer(two_answers)
    first = peer.ask(command("55555555"), 0.5)
    assert first == '{ uid: "9", "session" : "55555555", "cmd":"QAD", "value":"(1", }'
    second = peer.ask(command("66666666"), 2.5)
    assert second == '{"uid":"9","session":"66666666","cmd":"QAD","value":"(33333333"}'
    assert peer.ask(command("7"), 2.5) == second.replace("66666666", "7")


def test_pace(two_answers: Recorded) -> None:
    """An answer takes as long as it took; ten times as fast, a tenth of that."""
    slow, fast = Peer(two_answers), Peer(two_answers, speed=10)
    for peer in (slow, fast):
        peer.ask(command("1"), 1)
    assert slow.ask(command("2"), 1.8) == ""
    assert fast.ask(command("2"), 0.3) != ""
    slow.clock.run(1)
    assert slow.got != b""


def test_silence_is_silence(two_answers: Recorded) -> None:
    """What was not answered is not answered, nor what was never asked, nor what is no command."""
    peer = Peer(two_answers)
    assert peer.ask(command("1", "SON"), 10) == ""
    assert peer.ask(command("1", "RTD"), 10) == ""
    assert peer.ask('{"session": [[}', 10) == ""
    assert peer.player.counts["silent"] == 1
    assert peer.player.counts["unrecorded"] >= 1


def test_an_error_without_a_session_is_of_the_last_command(tmp_path: Path) -> None:
    """The echo of a command that a card could not read belongs to that command."""
    path = written(
        tmp_path, line(0, "out", command("1")), line(0.1, "in", '{"result":"102","cmd":"QAD"}')
    )
    assert Peer(read_device(path)).ask(command("2"), 1) == '{"result":"102","cmd":"QAD"}'


def test_too_long_an_object_ends_the_session(two_answers: Recorded) -> None:
    """A client that sends without end is cut."""
    peer = Peer(two_answers)
    peer.ask("{" * 70_000, 0.5)
    assert peer.player.counts["too-long"] == 1


def served(recorded: Recorded) -> tuple[Any, TestClock, Player]:
    clock = TestClock()
    player = Player(recorded, clock, 1.0)
    resource: Resource = ReplayResource(player, lambda content, asked, turn: None)
    return bounded_site(resource, clock, Limits(), player.counts), clock, player


def exchange(t: float, number: int, method: str, target: str, answer: Line) -> Iterator[Line]:
    yield line(
        t, "out", kind=answer.kind, via="http", exchange=number, method=method, target=target
    )
    yield answer


def test_http_status_type_and_body(tmp_path: Path) -> None:
    """An HTTP answer has its status, its type and its body; other paths before do not count."""
    more: dict[str, Any] = {"kind": "cfos", "via": "http", "exchange": 7}
    answer = line(0.5, "in", '"bad"', status=503, headers={"content-type": "text/x"}, **more)
    recorded = read_device(
        written(tmp_path, *exchange(0, 7, "GET", "/a/cnf?cmd=modbus&read=8002&device=evse", answer))
    )
    site, clock, player = served(recorded)
    asked = http(site, "GET", "/cnf?device=evse&cmd=modbus&read=8002&x=1")
    assert asked.raw == b""
    clock.advance(0.5)
    assert (asked.status, asked.body) == (503, b'"bad"')
    assert b"Content-Type: text/x" in asked.raw
    assert http(site, "GET", "/cnf?cmd=modbus&device=evse&read=8003").status == 404
    assert http(site, "POST", "/cnf?device=evse&cmd=modbus&read=8002").status == 404
    assert player.counts["unrecorded"] == 2


def test_a_lost_answer_is_lost_again(tmp_path: Path) -> None:
    """A request that had no answer has none: the connection is cut."""
    more: dict[str, Any] = {"kind": "cfos", "via": "http"}
    lost = line(3, "in", error="no answer within 3 s", exchange=1, **more)
    good = line(61, "in", "[]", status=200, exchange=2, **more)
    recorded = read_device(
        written(
            tmp_path,
            *exchange(0, 1, "GET", "/cnf?cmd=get_users", lost),
            *exchange(60, 2, "GET", "/cnf?cmd=get_dev_info", good),
        )
    )
    site, clock, player = served(recorded)
    client = Connection(site.buildProtocol(None))
    client.send(b"GET /cnf?cmd=get_users HTTP/1.1\r\nHost: a\r\n\r\n")
    clock.advance(0.1)
    assert client.aborted
    assert client.statuses() == []
    client.leave()
    assert player.counts["silent"] == 1


def test_a_client_that_leaves_gets_nothing(tmp_path: Path) -> None:
    """A client that leaves before the answer is due leaves no timer behind."""
    more: dict[str, Any] = {"kind": "cfos", "via": "http", "exchange": 1}
    slow = line(5, "in", "[]", status=200, **more)
    target = "/cnf?cmd=get_users"
    site, clock, _ = served(read_device(written(tmp_path, *exchange(0, 1, "GET", target, slow))))
    http(site, "GET", target).close()
    assert clock.getDelayedCalls() == []


def test_too_many_requests(tmp_path: Path) -> None:
    """So many answers wait, and no more."""
    more: dict[str, Any] = {"kind": "cfos", "via": "http", "exchange": 1}
    slow = line(5, "in", "[]", status=200, **more)
    target = "/cnf?cmd=get_users"
    recorded = read_device(written(tmp_path, *exchange(0, 1, "GET", target, slow)))
    player = Player(recorded, TestClock(), 1.0)
    for _ in range(MAX_WAITING):
        assert player.later(1, lambda: None) is not None
    unused: Any = None
    site = bounded_site(ReplayResource(player, unused), TestClock(), Limits(), player.counts)
    assert http(site, "GET", target).status == 503
    assert player.counts["overloaded"] == 1
    player.stop()


class Called(BoundedClient):
    """A client that notes what it is to send, and never gets an answer."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, bytes]] = []

    def request(self, method: str, url: str, **more: Any) -> Deferred[Answer]:
        self.posts.append((url, more["body"]))
        return Deferred()


@pytest.mark.parametrize(
    ("host", "called"),
    [
        ("http://127.0.0.1:9000/post", True),
        ("http://192.168.7.1:9000/post", False),
        ("https://127.0.0.1/", False),
        ("", False),
    ],
)
def test_results_go_to_this_machine_alone(host: str, called: bool, two_answers: Recorded) -> None:
    """A result goes only to the `host` of the live command, with its session."""
    client = Called()
    player = Player(two_answers, TestClock(), 1.0)
    unused: Any = None
    caller = Caller(player, client, unused)
    asked = f'{{"session":"99","host":"{host}","cmd":"QAD"}}'.encode()
    caller.call_back(b'{"session":"11","value":"(1"}', asked, Turn(0.0, echo="11"))
    posts = [(host, b'{"session":"99","value":"(1"}')]
    assert client.posts == (posts if called else [])
    assert player.counts["foreign-host"] == (not called)
    caller.stop()


@pytest.mark.parametrize(
    ("lines", "device", "words"),
    [
        ([], "", "one device must be named, of none"),
        ([line(0, "out", kind="relay")], "", "of none"),
        ([line(0, "out"), line(0, "out", device="ups2")], "", "of ups1, ups2"),
        ([line(0, "out")], "ups9", "no 'ups9'"),
        ([line(0, "out"), line(0, "out", kind="bms")], "", "ups1 is of two kinds"),
    ],
)
def test_what_cannot_be_replayed(
    lines: list[Line], device: str, words: str, tmp_path: Path
) -> None:
    """It is said which device there is, or why there is none."""
    with pytest.raises(CannotReplay, match=words):
        read_device(written(tmp_path, *lines), device)


def test_a_broken_file_is_named_by_its_line(tmp_path: Path) -> None:
    """Nothing is played of a file that is broken anywhere."""
    path = written(tmp_path, line(0, "out", command("1")))
    path.write_bytes(path.read_bytes() + b'{"t": 1}\n')
    with pytest.raises(BrokenRecording, match="line 3: "):
        read_device(path)


@pytest.mark.parametrize("speed", [0, -1, 1e9, float("nan")])
def test_a_speed_that_is_none(two_answers: Recorded, speed: float) -> None:
    """A speed is above 0, and bounded."""
    with pytest.raises(ValueError, match="speed"):
        build_replay(two_answers, TestClock(), lambda: 0.0, speed=speed)


def test_an_endpoint_that_is_none(two_answers: Recorded) -> None:
    """A wrong endpoint is named."""
    with pytest.raises(ValueError, match="'nonsense' is no endpoint"):
        build_replay(two_answers, TestClock(), lambda: 0.0, "nonsense")


async def test_a_replay_listens(two_answers: Recorded) -> None:
    """The service listens, answers over a socket, and leaves nothing behind."""
    from twisted.internet import reactor
    from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
    from twisted.internet.protocol import Protocol

    got: Deferred[bytes] = Deferred()

    class _Client(Protocol):
        def connectionMade(self) -> None:
            assert self.transport is not None
            self.transport.write(command("12").encode())

        def dataReceived(self, data: bytes) -> None:
            got.callback(data)

    settings = TwinSettings(**ON_FREE_PORTS)
    service = build_replay(two_answers, reactor, lambda: 0.0, speed=100, settings=settings)
    service.startService()
    clock: Any = reactor
    await connectProtocol(TCP4ClientEndpoint(clock, "127.0.0.1", service.listener.port), _Client())
    assert b'"session" : "12"' in await got.addTimeout(5, clock)
    await service.stopService()
