"""Our `monitor.do`: who may upload, what is taken, and what is answered."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher, textFileLogObserver
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.http_client import Client
from tests.web.small_site import FakeDevice, SmallSite, small_site
from tests.wire.etc.lists import read_whole
from tests.wire.material import NASTY, document
from twisted_gantry.core.interfaces import IUploader
from twisted_gantry.core.stored import StoredCard
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.net.outage import Reason
from twisted_gantry.web.monitor.endpoint import AUTH_FAILURES, Monitor, MonitorSettings
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.json import loads_text
from twisted_gantry.wire.secret import Secret

AUTH = "hunter2-code"
GANTRY = "G000211001002110010"
SAMPLE: Any = loads_text(document("etc-3.1.3"))["cabinetStatus"]
CARDS = [
    StoredCard("1234567", "2019-11-29 13:58:50", "2029-11-29 13:58:50"),
    StoredCard("2234567", "2019-11-29 13:58:50", "2029-11-29 13:58:50"),
]


@implementer(IUploader)
class FakeUploader(FakeDevice):
    """A device that notes what is uploaded, or fails with `error`."""

    uploads_as = (GANTRY, "1")
    host = "192.0.2.7"
    error: Exception | None = None

    def __init__(self, name: str, small: SmallSite) -> None:
        super().__init__(name, "cabinet", small.now)
        self.taken: list[tuple[Any, bool]] = []
        self.repaired: list[bool] = []
        self.refusals: list[str] = []

    def upload_refused(self, reason: Reason) -> None:
        self.refusals.append(str(reason))

    def uploaded(self, fields: Any, *, clock_good: bool, repaired: bool = False) -> None:
        self.repaired.append(repaired)
        if self.error is not None:
            raise self.error
        self.taken.append((fields, clock_good))


class Bench:
    """A monitor of a site with the uploaders `cab1` and `cab2`, and a client of it."""

    def __init__(self, **settings: Any) -> None:
        self.small = small_site()
        self.cab1, self.cab2 = (FakeUploader(name, self.small) for name in ("cab1", "cab2"))
        self.cab2.uploads_as = ("G2", "2")
        self.small.site.devices.update(cab1=self.cab1, cab2=self.cab2)
        given = MonitorSettings(**{"listen": "tcp:8082", "auth": Secret(AUTH), **settings})
        self.computers: list[tuple[Any, bool]] = []
        small = self.small
        self.monitor = Monitor(given, small.site, small.clock, small.now, self.take_computers)
        self.client = Client(self.monitor.resource(), allowed=self.monitor.allowed)
        self.log = io.StringIO()

    def take_computers(self, fields: Any, *, clock_good: bool) -> None:
        """Note a report of computers, which must be a list."""
        if not isinstance(fields, list):
            raise BadMessage("no list")
        self.computers.append((fields, clock_good))

    def post(self, body: bytes, **headers: str) -> Any:
        """Send a body, signed unless `headers` say otherwise; returns the answer."""
        signed = {"binfile_md5": etc.digest(body), "binfile_auth": AUTH} | headers
        answer = self.client.send("POST", "/monitor.do", body, **signed).ended()
        assert answer.status == 200
        return answer.json

    def send(self, method: str, fields: Any, *, skew: float = 0, **envelope: Any) -> str:
        """Send a request, and return the code of the answer."""
        body = {
            "gantryId": GANTRY,
            "method": method,
            "timeStamp": str(int(self.small.now() + skew)),
            "version": "1001",
            etc.FIELDS_KEY[etc.Method(method)]: fields,
        } | envelope
        return str(self.post(json.dumps(body).encode())["code"])

    def ask(self, version: Any, **envelope: Any) -> Any:
        """Ask for the white list, and return the answer."""
        fields = {"curVersion": version}
        body = etc.encode_request(GANTRY, etc.Method.CARDS, self.small.now(), fields)
        return self.post(json.dumps(json.loads(body) | envelope).encode())


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A monitor; what it logs is in `log`."""
    made = Bench()
    observer = textFileLogObserver(made.log)
    globalLogPublisher.addObserver(observer)
    yield made
    globalLogPublisher.removeObserver(observer)
    made.small.db.close()


def test_a_form_with_one_part_is_an_upload(bench: Bench) -> None:
    """The part is the body; the digest is that of either. Several parts are 1002, with a reason."""
    body = etc.encode_request(GANTRY, etc.Method.CARDS, bench.small.now(), {"curVersion": "0"})
    signed = {"binfile_md5": etc.digest(body), "Content-Type": "multipart/form-data; boundary=B"}
    part = b'--B\r\nContent-Disposition: form-data; name="f"\r\n\r\n' + body + b"\r\n"
    assert bench.post(part + b"--B--\r\n", **signed)["code"] == "1000"
    whole = {**signed, "binfile_md5": etc.digest(part + b"--B--\r\n").upper()}
    assert bench.post(part + b"--B--\r\n", **whole)["code"] == "1000"
    assert bench.post(part + b"--B--", **whole)["code"] == "1004"
    assert bench.post(part + part + b"--B--\r\n", **signed)["code"] == "1002"
    assert "multipart/form-data with several parts; send one, or the JSON itself" in (
        bench.log.getvalue()
    )


def test_an_upload_reaches_its_device(bench: Bench) -> None:
    """A report goes to the device of its gantry and cabinet, its keys stripped."""
    fields = {" id ": 1, " smokeSensor": {"isWarning ": 1}}
    assert bench.send("cabinetStatusUpdate", fields) == "1000"
    assert bench.cab1.taken == [({"id": "1", "smokeSensor": {"isWarning": "1"}}, True)]
    assert bench.send("cabinetStatusUpdate", {"id": "2"}, gantryId="G2") == "1000"
    assert bench.cab2.taken == [({"id": "2"}, True)]
    assert bench.monitor.counts["code-1000"] == bench.monitor.counts["cabinetStatusUpdate"] == 2


def test_the_printed_example(bench: Bench) -> None:
    """The example of 3.1.3, byte for byte as printed, is taken, though its clock is years off."""
    assert bench.post(document("etc-3.1.3")) == {"code": "1000", "msg": "成功"}
    assert bench.cab1.taken == [(SAMPLE, False)]


@pytest.mark.parametrize(
    ("skew", "good"), [(0, True), (299, True), (-299, True), (302, False), (-302, False)]
)
def test_a_skewed_upload_is_taken(bench: Bench, skew: float, good: bool) -> None:
    """1003 is for commands: an upload whose stamp is off is taken, and said to be."""
    assert bench.send("cabinetStatusUpdate", SAMPLE, skew=skew) == "1000"
    assert [clock_good for _, clock_good in bench.cab1.taken] == [good]
    assert bench.monitor.counts["clock-skew"] == (not good)


@pytest.mark.parametrize(
    ("fields", "envelope"),
    [
        (None, {}),
        ([], {}),
        ("x", {}),
        ({}, {}),
        ({"id": ""}, {}),
        ({"id": []}, {}),
        ({"id": "3"}, {}),
        ({"id": "2"}, {}),
        (SAMPLE, {"gantryId": "G3"}),
        (SAMPLE, {"gantryId": "G" * 50_000}),
        (SAMPLE, {"gantryId": None}),
    ],
)
def test_bad_parameters(bench: Bench, fields: Any, envelope: dict[str, Any]) -> None:
    """A broken envelope and a cabinet that nobody is configured for are 1002."""
    assert bench.send("cabinetStatusUpdate", fields, **envelope) == "1002"
    assert bench.cab1.taken == []
    assert len(bench.log.getvalue()) < 500


def test_the_order_of_the_checks(bench: Bench) -> None:
    """The code comes before the digest, that before JSON, the version, and the fields."""
    assert bench.post(b"{", binfile_auth="x", binfile_md5="y")["code"] == "1001"
    assert bench.post(b"{", binfile_md5="y")["code"] == "1004"
    assert bench.post(b"{")["code"] == "1002"
    assert bench.send("cabinetStatusUpdate", None, version="1000") == "1006"
    assert bench.send("cabinetStatusUpdate", None) == "1002"


def test_a_command_is_no_method_here(bench: Bench) -> None:
    """`monitor.do` takes no commands."""
    fields = {"updateNow": "1"}
    body = etc.encode_request(GANTRY, etc.Method.CABINET_CONTROL, bench.small.now(), fields)
    assert bench.post(body)["code"] == "1002"


def test_without_headers(bench: Bench) -> None:
    """A request without the two headers is not allowed."""
    answer = bench.client.send("POST", "/monitor.do", b"{}").ended()
    assert (answer.status, answer.json["code"]) == (200, "1001")


def test_guesses_are_throttled(bench: Bench) -> None:
    """Ten wrong codes in a minute, then 1005 for further ones; the right one always passes."""
    codes = [bench.post(b"{}", binfile_auth=f"x{n}")["code"] for n in range(AUTH_FAILURES + 2)]
    assert codes == ["1001"] * AUTH_FAILURES + ["1005"] * 2
    assert bench.send("cabinetStatusUpdate", SAMPLE) == "1000"


def test_a_flood_is_bounded(bench: Bench) -> None:
    """Of one address a hundred requests at once are taken, and then twenty a second."""
    codes = [bench.send("cabinetStatusUpdate", SAMPLE) for _ in range(110)]
    assert codes == ["1000"] * 100 + ["1005"] * 10
    bench.small.clock.advance(0.5)
    assert bench.send("cabinetStatusUpdate", SAMPLE) == "1000"
    assert len(bench.log.getvalue().splitlines()) == 1  # a repeated thing is said once


def test_no_address_takes_all_the_connections(bench: Bench) -> None:
    """Who holds connections open and says nothing leaves room for a cabinet elsewhere."""
    site: Any = bounded_site(
        bench.monitor.resource(), bench.small.clock, bench.monitor.limits, bench.monitor.counts
    )
    for port in range(200):
        protocol = site.buildProtocol(IPv4Address("TCP", "192.0.2.66", port))
        if protocol is not None:
            transport: Any = StringTransport()
            transport.abortConnection = transport.loseConnection
            protocol.makeConnection(transport)
    counts = bench.monitor.counts
    assert counts["connections"] - counts["evicted"] == bench.monitor.limits.per_address
    assert site.buildProtocol(IPv4Address("TCP", "192.0.2.7", 1)) is not None


def test_a_code_may_be_any_text() -> None:
    """The code comes as UTF-8, as a client sends a text that is not ASCII."""
    bench = Bench(auth=Secret("门架-é"))
    body = etc.encode_request(GANTRY, etc.Method.CARDS, bench.small.now(), {"curVersion": "0"})
    assert bench.post(body, binfile_auth="门架-é")["code"] == "1000"
    bench.small.db.close()


def test_the_rate_is_a_setting() -> None:
    """`rate` 0 takes any number of requests."""
    bench = Bench(rate=0)
    assert {bench.send("cabinetStatusUpdate", SAMPLE) for _ in range(150)} == {"1000"}
    bench.small.db.close()


def test_what_is_refused_is_logged_by_its_code(bench: Bench) -> None:
    """However many addresses a peer has, a refusal of one code is one line in a minute."""
    for turn in range(20):
        bench.post(b"{}", binfile_auth=f"wrong {turn}")
    assert bench.log.getvalue().count("refused") == 2  # 1001 and 1005
    bench.small.clock.advance(61)
    bench.post(b"{}", binfile_auth="wrong")
    assert "(9 more before)" in bench.log.getvalue()


@pytest.mark.parametrize(
    ("allowed", "admitted"),
    [([], True), (["192.0.2.0/24"], True), (["192.0.2.7"], True), (["10.0.0.0/8"], False)],
)
def test_allowed_clients(allowed: list[str], admitted: bool) -> None:
    """Others than `allowed_clients` are closed when they connect, and counted."""
    bench = Bench(allowed_clients=allowed)
    assert bench.client.admits("192.0.2.7") == admitted
    assert bench.client.counts["not-allowed"] == (not admitted)
    bench.small.db.close()


def test_a_client_that_is_no_network() -> None:
    """An allowed client that is no network is an error of the configuration."""
    with pytest.raises(ValueError):
        Bench(allowed_clients=["cabinet.example"])


@pytest.mark.parametrize("name", NASTY)
def test_nasty_bodies(bench: Bench, name: str) -> None:
    """Whatever the body, an answer of the protocol comes, and no fault of ours."""
    if len(NASTY[name]) <= Limits().body:
        assert bench.post(NASTY[name])["code"] in {"1002", "1006"}
    assert bench.monitor.counts["failed"] == 0


def test_a_fault_is_logged_again_after_a_while(
    bench: Bench, logged_failures: list[Failure]
) -> None:
    """Another fault is logged at once, the same one after a minute: none is hidden for good."""
    bench.cab1.error = RuntimeError("first")
    assert bench.send("cabinetStatusUpdate", SAMPLE) == "1008"
    bench.cab1.error = KeyError("second")
    assert bench.send("cabinetStatusUpdate", SAMPLE) == "1008"
    bench.small.clock.advance(61)
    assert bench.send("cabinetStatusUpdate", SAMPLE) == "1008"
    assert [each.type for each in logged_failures] == [RuntimeError, KeyError, KeyError]
    logged_failures.clear()


def test_a_device_that_fails(bench: Bench, logged_failures: list[Failure]) -> None:
    """A fault of ours is 1008; its trace is in the log, once, and not in the answer."""
    bench.cab1.error = RuntimeError("the inside of it")
    for _ in range(3):
        assert bench.send("cabinetStatusUpdate", SAMPLE) == "1008"
    assert bench.monitor.counts["failed"] == 3
    [failure] = logged_failures
    assert failure.getErrorMessage() == "the inside of it"
    logged_failures.clear()
    bench.cab1.error = ValueError("no report")
    assert bench.send("cabinetStatusUpdate", SAMPLE) == "1002"


def test_reports_of_computers_are_handed_on(bench: Bench) -> None:
    """A report of computers is taken under our number and those of the cabinets below."""
    assert bench.post(document("etc-2.1.3"))["code"] == "1000"
    [(rows, clock_good)] = bench.computers
    assert [row["id"] for row in rows] == ["1", "2"]
    assert not clock_good
    assert bench.monitor.counts["clock-skew"] == 1
    assert bench.send("computerStatusUpdate", [{"id": "7"}], gantryId="G2") == "1000"
    assert bench.computers[-1] == ([{"id": "7"}], True)
    assert bench.send("computerStatusUpdate", [{"id": "7"}], gantryId="G3") == "1002"
    assert bench.send("computerStatusUpdate", "none") == "1002"
    assert len(bench.computers) == 2


def test_the_white_list(bench: Bench) -> None:
    """A cabinet gets the stored list when its own is older, and none otherwise."""
    assert bench.ask("0")["data"] == {"isExistLatestVersion": "0"}
    bench.small.site.store.replace_cards("20191129134255", CARDS)
    answer = bench.ask("0")
    assert (answer["code"], answer["msg"]) == ("1000", "成功")
    found = read_whole(etc.Answer("1000", data=answer["data"])).cards
    assert found is not None
    assert found.version == "20191129134255"
    assert [(c.card_id, c.valid_time, c.invalid_time) for c in found.cards] == [
        (c.card_id, c.valid_time, c.invalid_time) for c in CARDS
    ]
    assert bench.ask(" 20191129134254 ")["data"]["isExistLatestVersion"] == "1"
    assert bench.ask("20191129134255")["data"] == {"isExistLatestVersion": "0"}
    assert bench.ask("20201129134255")["data"] == {"isExistLatestVersion": "0"}
    assert bench.ask("0", gantryId="G2")["data"]["isExistLatestVersion"] == "1"


def test_the_printed_question(bench: Bench) -> None:
    """The question of 4.1.3, spaces in its keys included, is answered."""
    body = document("etc-4.1.3").replace(b"[bookmark: _GoBack]", b"")
    assert bench.post(body)["data"] == {"isExistLatestVersion": "0"}


@pytest.mark.parametrize("version", [None, "", "latest", "2019", [], "1" * 5000])
def test_a_version_that_is_none(bench: Bench, version: Any) -> None:
    """A version that is neither 0 nor fourteen digits is 1002."""
    assert bench.ask(version)["code"] == "1002"


def test_the_list_is_for_our_gantries(bench: Bench) -> None:
    """A gantry that nobody here belongs to gets no list."""
    assert bench.ask("0", gantryId="G3")["code"] == "1002"


def test_a_disk_that_fails(bench: Bench, logged_failures: list[Failure]) -> None:
    """A list that cannot be read is a fault of ours."""
    store: Any = bench.small.site.store
    store.cards = lambda: fail(OSError("disk"))
    assert bench.ask("0")["code"] == "1008"
    logged_failures.clear()


def test_a_client_that_will_not_wait(bench: Bench) -> None:
    """A client that goes before its answer leaves nothing behind in the log."""
    store: Any = bench.small.site.store
    waiting: Deferred[Any] = Deferred()
    store.cards = lambda: waiting
    body = etc.encode_request(GANTRY, etc.Method.CARDS, bench.small.now(), {"curVersion": "0"})
    signed = {"binfile_md5": etc.digest(body), "binfile_auth": AUTH}
    exchange = bench.client.send("POST", "/monitor.do", body, **signed)
    assert not exchange.answered
    exchange.hang_up()
    assert waiting.called
    assert bench.log.getvalue() == ""


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/monitor.do", 405),
        ("BREW", "/monitor.do", 405),
        ("POST", "/", 404),
        ("POST", "/remotecontrol.do", 404),
        ("POST", "/%ff%fe", 404),
    ],
)
def test_wrong_paths_and_verbs(bench: Bench, method: str, path: str, status: int) -> None:
    """What is no request of the protocol is answered by plain HTTP."""
    assert bench.client.send(method, path).ended().status == status
    assert bench.monitor.counts["failed"] == 0


def test_no_secret_is_shown(bench: Bench) -> None:
    """The code is in no log line and no repr."""
    bench.post(b"{}", binfile_auth=AUTH + "x")
    bench.send("cabinetStatusUpdate", None)
    settings = MonitorSettings(listen="tcp:8082", auth=Secret(AUTH))
    assert bench.log.getvalue()
    assert AUTH not in bench.log.getvalue() + repr(settings)
