"""A fleet of gantries against a platform and the twin's own cloud: in memory, on a clock."""

import resource
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from klein import Klein
from treq.testing import StubTreq
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.web.http import Request as HttpRequest
from twisted.web.iweb import IResponse
from zope.interface import implementer

from tests.support import MemoryNetwork, TestClock, fired
from tests.twin.helpers import http
from twisted_gantry.net.http.client import BoundedClient
from twisted_gantry.twin.faces.fogslink.cloud import Cloud, CloudFactory
from twisted_gantry.twin.faults.settings import FOGSLINK, Faults
from twisted_gantry.twin.fleet.control import FleetControl
from twisted_gantry.twin.fleet.service import SPARE_FILES, Fleet, build_fleet, raise_open_files
from twisted_gantry.twin.fleet.settings import MAX_GANTRIES, FleetSettings
from twisted_gantry.twin.fleet.uploads import ROUND
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.envelope import Method
from twisted_gantry.wire.etc.reports import decode_report
from twisted_gantry.wire.fogslink.client import REFUSED_PAUSES
from twisted_gantry.wire.json import loads

AUTH, API_KEY = "fleet-auth", "fleet-key"
PERIOD = 10.0
STEP = 0.1
LIST_VERSION = "20260101000000"


class Monitor:
    """A platform that knows every gantry. `answer` is what it does: a code, a status, or nothing.

    `taken` has what was in order: when, which gantry, which method, its fields.
    """

    app = Klein()

    def __init__(self, clock: TestClock) -> None:
        self.taken: list[tuple[float, str, Method, Any]] = []
        self.answer: str | int | None = "1000"
        self.asked = 0
        self._clock = clock

    @app.route("/monitor.do", methods=["POST"])
    def monitor(self, request: HttpRequest) -> Any:
        assert request.content is not None
        self.asked += 1
        if self.answer is None:
            return Deferred()
        if isinstance(self.answer, int):
            request.setResponseCode(self.answer)
            return b""
        if self.answer != "1000":
            return self.answer.encode() if not self.answer.isdigit() else self._code()
        names = (etc.MD5_HEADER, etc.AUTH_HEADER)
        given = etc.check_request(
            request.content.read(),
            {name: request.getHeader(name) or "" for name in names},
            auth=AUTH,
            methods=etc.MONITOR,
            gantry_id=None,
            now=self._clock.now(),
            skew=1,
        )
        self.taken.append((self._clock.seconds(), given.gantry_id, given.method, given.fields))
        if given.method is Method.CARDS:
            card = etc.Card("1", "2026-01-01 00:00:00", "2027-01-01 00:00:00")
            offered = etc.CardList(LIST_VERSION, (card,))
            return etc.card_answer(given.fields["curVersion"], offered).encode()
        decode_report(given.method, given.fields)
        return self._code()

    def _code(self) -> bytes:
        return etc.Answer(str(self.answer), "said the test").encode()


class Wires:
    """What is between a fleet and its peers: a stub of treq, and the in-memory network."""

    def __init__(self, network: MemoryNetwork, monitor: Monitor) -> None:
        self.network, self.reachable = network, True
        self._stub: Any = StubTreq(monitor.app.resource())

    def request(self, method: str, url: str, **kwargs: Any) -> Deferred[IResponse]:
        if not self.reachable:
            return fail(Refused("refused by the test"))
        answered: Deferred[IResponse] = self._stub.request(method, url, **kwargs)
        return answered

    def flush(self) -> bool:
        self._stub.flush()
        return self.network.flush()


class Rig:
    """A fleet and its peers; what a test sets of `settings` goes to the fleet."""

    def __init__(
        self, count: int = 5, known: int | None = None, endpoint: Any = None, **settings: Any
    ) -> None:
        self.clock = TestClock()
        self.faults = Faults(self.clock.seconds, Random(1))
        self.settings = FleetSettings(
            gantries=count,
            platform=settings.pop("platform", "http://platform.test/monitor.do"),
            auth=AUTH,
            api_key=API_KEY,
            report_period=settings.pop("report_period", PERIOD),
            pack_period=settings.pop("pack_period", PERIOD),
            seed=settings.pop("seed", 1),
            **settings,
        )
        accounts = {
            str(10_000_000 + at): API_KEY for at in range(count if known is None else known)
        }
        self.cloud = Cloud(self.faults, self.clock, self.clock.now, accounts)
        self.network = MemoryNetwork(self.clock, CloudFactory(self.cloud))
        self.monitor = Monitor(self.clock)
        wires: Any = Wires(self.network, self.monitor)
        self.wires = wires
        self.clock.network = wires
        self.closed = self.settled = 0
        where = (endpoint or self.network) if self.settings.cloud else None
        client = BoundedClient(wires, self.clock)
        self.fleet = Fleet(
            self.settings,
            self.clock,
            self.clock.now,
            client,
            where,
            close=self._close,
            settle=self._settle,
        )
        self.fleet.startService()

    def _close(self) -> Deferred[None]:
        self.closed += 1
        return succeed(None)

    def _settle(self) -> None:
        self.settled += 1

    def run(self, seconds: float) -> None:
        self.clock.run(seconds, STEP)

    @property
    def etc(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.fleet.shown()["etc"]
        return shown

    @property
    def fogslink(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.fleet.shown()["fogslink"]
        return shown

    def cut(self) -> None:
        for pump in self.network.pumps:
            pump.serverIO.abortConnection()
            pump.clientIO.abortConnection()
        self.network.flush()

    def stop(self) -> None:
        """Stop the fleet, and see that nothing is left."""
        if self.fleet.running:
            stopped = fired(self.fleet.stopService())
            self.clock.settle()
            assert stopped == [None]
        assert self.closed == 1
        assert self.cloud.sessions == []
        assert [each for each in self.clock.getDelayedCalls() if each.active()] == []


@pytest.fixture
def rigs() -> Iterator[Any]:
    made: list[Rig] = []

    def make(*args: Any, **settings: Any) -> Rig:
        made.append(Rig(*args, **settings))
        return made[-1]

    yield make
    for rig in made:
        rig.stop()


# -- uploads


def test_every_gantry_reports_once_a_period(rigs: Any) -> None:
    """Each its computer, its cabinet and its question; signed, stamped and valid."""
    rig = rigs(20, cloud="")
    for rounds in (1, 2, 3):
        rig.run(PERIOD)
        per = Counter((gantry, method) for _, gantry, method, _ in rig.monitor.taken)
        assert set(per.values()) == {rounds}
        assert len(per) == 20 * len(ROUND)
    sent = 3 * 20 * len(ROUND)
    assert (rig.etc["sent"], rig.etc["acknowledged"]) == (sent, sent)
    assert rig.etc["refused"] == {}
    assert rig.etc["lost"] == rig.etc["skipped"] == rig.etc["inFlight"] == 0


def test_the_reports_of_a_gantry_come_a_period_apart(rigs: Any) -> None:
    """To the tick, whatever its phase."""
    rig = rigs(5, cloud="")
    rig.run(4 * PERIOD)
    times = defaultdict(list)
    for at, gantry, method, _ in rig.monitor.taken:
        if method is Method.CABINET_STATUS:
            times[gantry].append(at)
    for each in times.values():
        pauses = [b - a for a, b in pairwise(each)]
        assert pauses == pytest.approx([PERIOD] * 3, abs=STEP + 1e-6)


def test_the_phases_are_spread_by_the_seed(rigs: Any) -> None:
    """Over all of the period, alike for equal seeds and not for others."""

    def phases(seed: int) -> list[float]:
        rig = rigs(50, cloud="", seed=seed)
        rig.run(PERIOD)
        return [at for at, _, method, _ in rig.monitor.taken if method is Method.CARDS]

    first = phases(1)
    assert len(first) == 50
    per_fifth = Counter(int(at / PERIOD * 5) for at in first)
    assert all(3 <= per_fifth[fifth] <= 20 for fifth in range(5))
    assert phases(1) == first
    assert phases(2) != first


def test_no_two_gantries_report_the_same(rigs: Any) -> None:
    """Their cabinets differ in values, and the world of each goes on."""
    rig = rigs(20, cloud="")
    rig.run(2 * PERIOD)
    cabinets = [
        (gantry, fields["elec"], fields["thermohygrometer"])
        for _, gantry, method, fields in rig.monitor.taken
        if method is Method.CABINET_STATUS
    ]
    first, second = cabinets[:20], {each[0]: each[1:] for each in cabinets[20:]}
    assert len({str(values[1:]) for values in first}) == 20
    assert any(second[gantry] != tuple(values) for gantry, *values in first)


@pytest.mark.parametrize(
    ("answer", "code"),
    [("1005", "1005"), ("4711", "4711"), (503, "http-503"), ("[no json", "malformed")],
)
def test_refusals_are_counted_by_code(rigs: Any, answer: str | int, code: str) -> None:
    """None is sent again, none is lost; the next period is taken when the platform recovers."""
    rig = rigs(5, cloud="")
    rig.monitor.answer = answer
    rig.run(PERIOD)
    assert rig.etc["refused"] == {code: 15}
    assert (rig.etc["sent"], rig.etc["lost"], rig.etc["acknowledged"]) == (15, 0, 0)
    assert rig.etc["latencyMs"]["count"] == 15
    assert rig.etc["lastFailure"]
    rig.monitor.answer = "1000"
    rig.run(PERIOD)
    assert rig.etc["acknowledged"] == 15


def test_a_platform_that_is_not_there_loses_all(rigs: Any) -> None:
    """At once, and each is counted."""
    rig = rigs(50, cloud="")
    rig.wires.reachable = False
    rig.run(PERIOD)
    assert (rig.etc["sent"], rig.etc["lost"]) == (150, 150)
    assert "no connection" in rig.etc["lastFailure"]


def test_a_queue_that_fails_at_once_is_no_recursion(rigs: Any) -> None:
    """Hundreds wait behind a silent platform, which then goes: all are lost, one by one."""
    rig = rigs(300, cloud="", connections=1)
    rig.monitor.answer = None
    rig.run(PERIOD - 0.5)
    assert rig.etc["waiting"] > 800
    rig.wires.reachable = False
    rig.run(PERIOD)
    assert rig.etc["waiting"] == 0
    assert rig.etc["lost"] == rig.etc["sent"] > 900


def test_a_platform_that_is_silent_holds_no_more_than_the_connections(rigs: Any) -> None:
    """The rest waits, each once; what was due meanwhile is skipped; the silent ones are lost."""
    rig = rigs(20, cloud="", connections=7)
    rig.monitor.answer = None
    rig.run(PERIOD)
    assert rig.etc["sent"] == rig.etc["inFlight"] == rig.monitor.asked == 7
    assert rig.etc["waiting"] == 53
    rig.run(2 * PERIOD)
    shown = rig.etc
    assert shown["lost"] >= 7
    assert shown["inFlight"] == 7
    assert shown["waiting"] <= 60
    assert shown["skipped"] > 0
    due = 3 * 20 * len(ROUND)
    assert shown["sent"] + shown["waiting"] + shown["skipped"] == due


def test_latency_counts_from_the_moment_that_a_report_was_due(rigs: Any) -> None:
    """What waited for a connection behind a silent platform was late, and is shown so."""
    rig = rigs(10, cloud="", connections=1, report_period=60)
    rig.monitor.answer = None
    rig.run(61)
    rig.monitor.answer = "1000"
    rig.run(10)
    assert rig.etc["acknowledged"] > 10
    assert rig.etc["latencyMs"]["p50"] > 10_000


def test_a_white_list_is_asked_for_once(rigs: Any) -> None:
    """A gantry names the version that it was given: the list is sent to each but once."""
    rig = rigs(5, cloud="")
    rig.run(3 * PERIOD)
    versions = Counter(
        fields["curVersion"] for _, _, method, fields in rig.monitor.taken if method is Method.CARDS
    )
    assert versions == {"0": 5, LIST_VERSION: 10}


# -- sessions


def test_every_session_comes_up_and_stays(rigs: Any) -> None:
    """Heartbeats go every three seconds and are answered; the cloud cuts nobody."""
    rig = rigs(20, platform="")
    rig.run(31)
    shown = rig.fogslink
    assert shown["sessionsUp"] == len(rig.cloud.sessions) == 20
    assert shown["counts"] == {"connections": 20, "reconnections": 0}
    assert shown["odd"] == {}
    heartbeats = shown["heartbeats"]
    assert heartbeats["sent"] == heartbeats["acknowledged"] == pytest.approx(20 * 11, abs=20)
    assert heartbeats["lost"] == heartbeats["inFlight"] == 0
    assert heartbeats["latencyMs"]["count"] == heartbeats["acknowledged"]


def test_every_session_sends_a_pack_a_period(rigs: Any) -> None:
    """Spread over it; whole, numbered without a gap, with the values of the world."""
    rig = rigs(20, platform="")
    rig.run(3 * PERIOD + 1)
    packs = rig.fogslink["packs"]
    assert packs["sent"] == packs["acknowledged"] == rig.cloud.counts["packs"]
    assert 60 <= packs["sent"] <= 63
    assert (rig.cloud.records.gaps, rig.cloud.records.duplicates) == (0, 0)
    assert rig.cloud.counts["new"] == packs["sent"]
    records = rig.cloud.records.shown(10_000)
    assert Counter(each["eqSN"] for each in records).keys() == rig.cloud.accounts.keys()
    assert len({each["eVal"] for each in records if each["eChan"] == "P0-C1"}) > 10
    assert len({each["at"] for each in records}) > 30


def test_connections_are_ramped_up(rigs: Any) -> None:
    """No more in a second than is set."""
    rig = rigs(20, platform="", connect_rate=5)
    rig.run(2)
    assert 8 <= len(rig.network.attempts) <= 11
    rig.run(3)
    assert rig.fogslink["sessionsUp"] == 20


def test_a_cut_session_comes_back_with_pauses(rigs: Any) -> None:
    """The pauses double while the cloud is gone; what was in flight is lost, and counted."""
    rig = rigs(5, platform="")
    rig.run(12)
    rig.network.reachable = False
    rig.cut()
    shown = rig.fogslink
    assert (shown["sessionsUp"], shown["counts"]["cut"]) == (0, 5)
    before = len(rig.network.attempts)
    rig.run(60)
    per_session = (len(rig.network.attempts) - before) / 5
    assert 5 <= per_session <= 8  # 1, 2, 4 ... with a jitter of 0.5 to 1
    assert rig.fogslink["counts"]["not-connected"] == len(rig.network.attempts) - before
    assert rig.fogslink["packs"]["skipped"] > 0
    rig.network.reachable = True
    rig.run(70)
    shown = rig.fogslink
    assert (shown["sessionsUp"], shown["counts"]["reconnections"]) == (5, 5)
    for kind in (shown["packs"], shown["heartbeats"]):
        assert kind["sent"] == kind["acknowledged"] + kind["lost"] + kind["inFlight"]
    sent = shown["packs"]["sent"]
    rig.run(3 * PERIOD)
    assert rig.fogslink["packs"]["sent"] == pytest.approx(sent + 15, abs=5)


def test_only_a_pack_that_was_taken_ends_the_pauses(rigs: Any) -> None:
    """A cloud that lets a gantry in and cuts it is left alone ever longer, until it takes data."""
    rig = rigs(1, platform="", pack_period=40)
    for _ in range(5):
        rig.run(0.5)
        while not rig.fogslink["sessionsUp"]:
            rig.run(0.5)
        rig.cut()
    assert rig.fogslink["packs"]["acknowledged"] == 0
    longest = max(b - a for a, b in pairwise(rig.network.attempts))
    rig.run(100)
    assert rig.fogslink["packs"]["acknowledged"] > 0
    assert longest > 3
    cut_at = rig.clock.seconds()
    rig.cut()
    rig.run(2)
    assert 0 < rig.network.attempts[-1] - cut_at <= 1.1


def test_a_cloud_that_goes_silent_is_left_and_tried_again(rigs: Any) -> None:
    """Without answers a session ends after ten seconds, its heartbeats are lost, none is up."""
    rig = rigs(3, platform="", pack_period=1000)
    rig.run(5)
    rig.faults.put(FOGSLINK, {"delay": 3600})
    rig.run(13)
    shown = rig.fogslink
    assert (shown["sessionsUp"], shown["counts"]["cut"]) == (0, 3)
    assert shown["odd"]["no-heartbeat"] == 3
    assert shown["heartbeats"]["lost"] >= 9
    rig.faults.clear(FOGSLINK)
    rig.run(30)
    assert rig.fogslink["sessionsUp"] == 3


def test_refused_sessions_come_back_much_later(rigs: Any) -> None:
    """A gantry that the cloud does not know is counted by its code, and not retried at once."""
    rig = rigs(5, known=3, platform="")
    rig.run(REFUSED_PAUSES[0] / 2 - 1)
    shown = rig.fogslink
    assert (shown["sessionsUp"], shown["refused"]) == (3, {"2": 2})
    assert len(rig.network.attempts) == 5
    rig.cloud.accounts["10000003"] = API_KEY
    rig.cloud.accounts["10000004"] = API_KEY
    rig.run(REFUSED_PAUSES[0] / 2 + 2)
    assert rig.fogslink["sessionsUp"] == 5


def test_a_nine_is_refused_and_silence_is_lost(rigs: Any) -> None:
    """Neither is sent again: the next pack has a number of its own."""
    rig = rigs(5, platform="")
    rig.run(1)
    rig.faults.put(FOGSLINK, {"code": "9"})
    rig.run(PERIOD)
    assert rig.fogslink["packs"]["refused"] == {"9": 5}
    rig.faults.put(FOGSLINK, {"busy": True})
    rig.run(PERIOD)
    rig.faults.clear(FOGSLINK)
    rig.run(PERIOD - 3)
    packs = rig.fogslink["packs"]
    assert packs["lost"] == 5
    assert packs["sent"] == packs["acknowledged"] + 10 + packs["inFlight"]
    assert rig.fogslink["sessionsUp"] == 5


def hostile(rig: Rig, line: bytes) -> None:
    """Let the cloud send bytes to the first session."""
    rig.cloud.sessions[0].transport.write(line)  # type: ignore[union-attr]
    rig.clock.settle()


def test_what_a_hostile_cloud_sends_is_counted(rigs: Any) -> None:
    """Garbage, a heartbeat's refusal, a configuration, an endless line: no other session minds."""
    rig = rigs(3, platform="")
    rig.run(2)
    hostile(rig, b'\xff\n{"res100":5}\n{"res100":{"code":"0"}}\n')
    hostile(rig, b'{"res300":{"eqSN":"1","eChan":"P0-C1","sPeriod":"1"}}\n')
    assert rig.fogslink["odd"]["malformed"] == 2
    assert rig.fogslink["counts"]["configurations"] == 1
    rig.faults.put(FOGSLINK, {"delay": 1})
    rig.run(2)
    assert rig.fogslink["heartbeats"]["inFlight"] == 3
    hostile(rig, b'{"res100":[]}\n{"res100":\n{"res100":{"code":"7"}}\n')
    assert rig.fogslink["heartbeats"]["refused"] == {"7": 1}
    assert rig.fogslink["sessionsUp"] == 3
    hostile(rig, b"x" * 70_000)
    assert (rig.fogslink["sessionsUp"], rig.fogslink["counts"]["too-long"]) == (2, 1)
    rig.faults.clear(FOGSLINK)
    rig.run(3)
    assert rig.fogslink["sessionsUp"] == 3


# -- the whole


def test_a_stop_in_the_midst_is_clean_and_loses_nothing(rigs: Any) -> None:
    """Uploads, sessions, pauses and packs under way: all end, and none counts as lost."""
    rig = rigs(10, connections=3, known=8)
    rig.run(3)
    rig.monitor.answer = None
    rig.faults.put(FOGSLINK, {"delay": 60})
    rig.run(4)
    assert rig.etc["inFlight"] == 3
    assert rig.fogslink["packs"]["inFlight"] > 0
    assert rig.fogslink["heartbeats"]["inFlight"] > 0
    rig.stop()
    assert (rig.etc["lost"], rig.fogslink["packs"]["lost"]) == (0, 0)
    assert rig.fogslink["heartbeats"]["lost"] == rig.fogslink["counts"].get("cut", 0) == 0
    assert rig.fogslink["sessionsUp"] == 0
    before = (len(rig.network.attempts), rig.monitor.asked)
    rig.run(20)
    assert (len(rig.network.attempts), rig.monitor.asked) == before


@implementer(IStreamClientEndpoint)
class Nowhere:
    """An endpoint that never connects, as behind a firewall that drops."""

    def __init__(self) -> None:
        self.given_up = 0

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        def cancel(_: object) -> None:
            self.given_up += 1

        return Deferred(cancel)


def test_a_stop_ends_attempts_to_connect(rigs: Any) -> None:
    """Each is given up, and none counts as failed."""
    nowhere = Nowhere()
    rig = rigs(5, endpoint=nowhere, platform="")
    rig.run(1)
    rig.stop()
    assert nowhere.given_up == 5
    assert rig.fogslink["counts"].get("not-connected", 0) == 0


def test_a_line_tells_how_it_fares(rigs: Any) -> None:
    """Every ten seconds, with the figures of all three, and no credential."""
    lines: list[str] = []

    @implementer(ILogObserver)
    def watch(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(watch)
    try:
        rig = rigs(5)
        rig.run(31)
    finally:
        globalLogPublisher.removeObserver(watch)
    told = [line for line in lines if line.startswith("fleet: ")]
    assert len(told) == 3
    assert "uploads 45 sent, 45 acknowledged, 0 refused, 0 lost, p50" in told[-1]
    assert "5 of 5 sessions up, 0 again" in told[-1]
    assert "packs" in told[-1]
    assert "heartbeats" in told[-1]
    assert not any(secret in line for line in lines for secret in (AUTH, API_KEY))


def test_the_control_api_shows_it(rigs: Any) -> None:
    """`GET /twin/v1/fleet` has all counts, and no credential; it cannot be changed."""
    rig = rigs(5)
    rig.run(PERIOD)
    site = FleetControl(rig.fleet).site(rig.clock)
    exchange = http(site, "GET", "/twin/v1/fleet")
    shown = exchange.json
    assert shown == loads(exchange.body)
    assert (shown["gantries"], shown["seconds"]) == (5, pytest.approx(PERIOD, abs=0.1))
    assert shown["etc"]["acknowledged"] == 15
    assert shown["fogslink"]["sessionsUp"] == 5
    assert AUTH not in str(shown)
    assert API_KEY not in str(shown)
    assert http(site, "POST", "/twin/v1/fleet").status == 405


def test_it_settles_once(rigs: Any) -> None:
    """When every session is up for the first time, and not before."""
    rig = rigs(10, platform="", connect_rate=5, known=9)
    rig.run(20)
    assert rig.settled == 0
    rig.cloud.accounts["10000009"] = API_KEY
    rig.run(REFUSED_PAUSES[0])
    assert rig.settled == 1
    rig.cut()
    rig.run(5)
    assert (rig.fogslink["sessionsUp"], rig.settled) == (10, 1)


def test_one_half_may_be_left_in_peace(rigs: Any) -> None:
    """Without a platform there are no uploads, without a cloud no sessions."""
    assert rigs(1, platform="").fleet.shown()["etc"] is None
    assert rigs(1, cloud="").fleet.shown()["fogslink"] is None


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"gantries": 0}, "gantries"),
        ({"gantries": MAX_GANTRIES + 1}, "gantries"),
        ({"report_period": 0.5}, "report_period"),
        ({"pack_period": float("nan")}, "pack_period"),
        ({"connections": 0}, "connections"),
        ({"connect_rate": 0}, "connect_rate"),
        ({"platform": "127.0.0.1:8088"}, "platform"),
        ({"platform": "ftp://x/"}, "platform"),
        ({"platform": "", "cloud": ""}, "neither"),
        ({"first_id": "123"}, "first_id"),
        ({"first_id": "G" + "9" * 18}, "too few digits"),
        ({"first_eq_sn": "x"}, "first_eq_sn"),
        ({"first_eq_sn": "9"}, "too few digits"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], why: str) -> None:
    """Each by its name."""
    with pytest.raises(ValueError, match=why):
        FleetSettings(**{"gantries": 2} | settings)


def test_settings_show_no_credential() -> None:
    """Nor does what is made of them."""
    shown = repr(FleetSettings(gantries=2, auth=AUTH, api_key=API_KEY))
    assert AUTH not in shown
    assert API_KEY not in shown


def test_it_is_wired_to_a_reactor() -> None:
    """Over TCP to where it is told; what is no endpoint is an error; it stops unstarted, too."""
    reactor = MemoryReactorClock()
    settings = FleetSettings(gantries=3, cloud="tcp:127.0.0.1:63321")
    fleet = build_fleet(settings, reactor, lambda: 0.0)
    fleet.startService()
    reactor.pump([0.05] * 10)
    assert [client[:2] for client in reactor.tcpClients][:3] == [("127.0.0.1", 63321)] * 3
    stopped = fired(fleet.stopService())
    reactor.pump([0.0] * 200)
    assert stopped == [None]
    with pytest.raises(ValueError, match="no client endpoint"):
        build_fleet(FleetSettings(gantries=3, cloud="nonsense:1"), reactor, lambda: 0.0)


def test_the_limit_of_open_files_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """To what is needed and no further; past the hard limit an error says what to do."""
    limits = (64, 5000)
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, to: set_to.append(to))
    settings = FleetSettings(gantries=1000, connections=64)
    raise_open_files(settings)
    assert set_to == [(1064 + SPARE_FILES, 5000)]
    with pytest.raises(ValueError, match="LimitNOFILE"):
        raise_open_files(FleetSettings(gantries=5000))
    raise_open_files(FleetSettings(gantries=5000, cloud=""))
    limits = (8000, 8000)
    raise_open_files(FleetSettings(gantries=5000))
    limits = (64, resource.RLIM_INFINITY)
    raise_open_files(FleetSettings(gantries=5000))
    assert set_to[1:] == [(5000, 5000), (164, 5000), (5064 + SPARE_FILES, resource.RLIM_INFINITY)]
