"""The callback host of UPS cards: whom it hands a result, what it answers, where it listens."""

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from tests.net.memory import Connection
from tests.twin.helpers import Http, http
from tests.wire.material import NASTY
from twisted_gantry.core.interfaces import ICallbackHost, LateResult
from twisted_gantry.net.http.server import Limits
from twisted_gantry.web import callbacks as module
from twisted_gantry.web.callbacks import CallbackHost
from twisted_gantry.wire.upscard.messages import CardRefusal, Result

CARD, FOREIGN = "10.0.0.21", "10.0.0.66"
RESULT = Result(uid="1", session="12345678", cmd="T", value="(OK").encode()


class Bench:
    """A callback host on a clock, with receivers that take what holds their word."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.foreign: list[str] = []
        self.host = CallbackHost(self.clock, self.foreign.append)
        self.counts = self.host.counts
        self.site = self.host.site()
        self.taken: list[tuple[str, bytes]] = []

    def register(self, url: str, word: bytes) -> None:
        """Register a receiver of bodies that hold `word`."""

        def receive(body: bytes) -> bool:
            if word in body:
                self.taken.append((url, body))
            return word in body

        self.host.register(url, receive, lambda host: host != FOREIGN)

    def post(
        self,
        body: bytes = RESULT,
        path: str = "/post",
        method: str = "POST",
        host: str = CARD,
        headers: dict[str, str] | None = None,
    ) -> Http:
        return http(self.site, method, path, body, headers, host=host)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.register("http://127.0.0.1:9000/post", b"1234")
    return bench


def test_it_is_a_callback_host() -> None:
    """It provides what drivers are given."""
    assert verifyObject(ICallbackHost, CallbackHost(Clock()))


def test_a_result_that_is_waited_for_is_taken(bench: Bench) -> None:
    """200, and the receiver has the result; a query does not matter."""
    assert bench.post().status == 200
    assert bench.post(path="/post?x=1").json == {}
    assert bench.taken == [("http://127.0.0.1:9000/post", RESULT)] * 2
    assert bench.counts["taken"] == 2


def test_a_form_with_one_part_is_a_result(bench: Bench) -> None:
    """The part is the result; several parts are 400, with a sentence."""
    part = b"--B\r\n\r\n" + RESULT + b"\r\n"
    form = {"Content-Type": "multipart/form-data; boundary=B"}
    assert bench.post(part + b"--B--", headers=form).status == 200
    assert bench.taken == [("http://127.0.0.1:9000/post", RESULT)]
    refused = bench.post(part + part + b"--B--", headers=form)
    assert refused.status == 400
    assert "several parts" in refused.json["error"]["message"]


def test_the_first_that_takes_it_has_it(bench: Bench) -> None:
    """Receivers of one path are asked in turn, those of another are not."""
    bench.register("http://127.0.0.1:9000/post", b"T")
    bench.register("http://127.0.0.1:9001/post", b"other")
    bench.register("http://127.0.0.1:9000/b", b"uid")
    other = Result(uid="1", session="9", cmd="T", value="(OK").encode()
    assert [bench.post(body).status for body in (RESULT, other)] == [200, 200]
    assert bench.post(CardRefusal(result=103, session="other").encode()).status == 200
    assert len(bench.taken) == 3
    assert bench.post(RESULT, "/b").status == 200
    assert [url[-6:] for url, _ in bench.taken] == ["0/post", "0/post", "1/post", "9000/b"]


def test_what_a_result_has_no_use_for_is_read_once(bench: Bench) -> None:
    """Receivers get the result alone: a long body is not decoded again for each card."""
    odd = RESULT[:-1] + b', "x": [' + b"1," * 5_000 + b"],}"
    assert bench.post(odd).status == 200
    echo = b'{"result": "102", "session": "12345678", "x": [' + b"1," * 5_000 + b"]}"
    assert bench.post(echo).status == 200
    assert [body for _, body in bench.taken] == [
        RESULT,
        CardRefusal(result=102, session="12345678").encode(),
    ]


@pytest.mark.parametrize("body", [b"", b"[]", b"OK", b"{}", b'{"result":"x"}', b"\xff\xfe"])
def test_what_is_no_result_is_400(bench: Bench, body: bytes) -> None:
    """Nobody is asked for it, and nothing of it comes back."""
    exchange = bench.post(body)
    assert (exchange.status, exchange.json["error"]["code"]) == (400, "malformed")
    assert bench.counts["malformed"] == 1
    assert bench.taken == []


@pytest.mark.parametrize("name", NASTY)
def test_nasty_bodies_are_4xx(bench: Bench, name: str) -> None:
    """No body raises."""
    assert 400 <= bench.post(NASTY[name][:60_000]).status < 500
    assert bench.counts["failed"] == 0


def test_a_result_that_nobody_waits_for_is_410(bench: Bench) -> None:
    """Late, a second time, of another card: the card need not try again."""
    exchange = bench.post(Result(uid="1", session="9", cmd="T", value="(OK").encode())
    assert (exchange.status, exchange.json["error"]["code"]) == (410, "unclaimed")
    assert bench.counts["unclaimed"] == 1


def test_a_result_from_elsewhere_is_ignored(bench: Bench) -> None:
    """The right session from another address is 403, and reaches no receiver."""
    assert bench.post(host=FOREIGN).status == 403
    assert bench.taken == []
    assert bench.foreign == [FOREIGN]
    assert bench.post().status == 200
    assert bench.counts["foreign-source"] == 1


def test_guesses_are_throttled_and_the_right_session_is_not(bench: Bench) -> None:
    """After ten wrong sessions further ones are 429 and cut; the right one is taken at once."""
    wrong = RESULT.replace(b"12345678", b"87654321")
    statuses = [bench.post(wrong).status for _ in range(module.WRONG + 5)]
    assert statuses == [410] * module.WRONG + [429] * 5
    assert bench.foreign == [CARD] * 5
    assert bench.post().status == 200
    assert [bench.post(host=FOREIGN).status for _ in range(11)] == [403] * 10 + [429]
    bench.clock.advance(60)
    assert bench.post(wrong).status == 410
    assert bench.counts["throttled"] == 6


def test_a_late_result_is_no_guess(bench: Bench) -> None:
    """A card may be slow for ever: its late results are 410, and no alarm."""

    def late(_: bytes) -> bool:
        raise LateResult

    bench.host.register("http://127.0.0.1:9000/slow", late, bool)
    assert {bench.post(path="/slow").status for _ in range(30)} == {410}
    assert bench.counts["late"] == 30
    assert bench.foreign == []


def test_cards_are_no_strangers(bench: Bench) -> None:
    """The address of a card has its places before it sent anything."""
    factory: Any = bench.host.site()
    limits = module.LIMITS
    for group in range(200):
        for port in range(2):
            held = factory.buildProtocol(IPv4Address("TCP", f"198.51.100.{group}", port))
            if held is not None:
                held.slot.close = held.slot.free
    assert bench.counts["connections"] - bench.counts["evicted"] <= 400
    cards = [factory.buildProtocol(IPv4Address("TCP", CARD, port)) for port in range(60)]
    assert None not in cards
    assert limits.reserved > 60


@pytest.mark.parametrize("path", ["/", "/post/", "/Post", "/post/x", "/%ff", "/p%6fst"])
def test_another_path_is_404(bench: Bench, path: str) -> None:
    """Only a path that is somebody's is one, written as in its URL."""
    assert bench.post(path=path).status == 404
    assert bench.counts["unknown-path"] == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_another_method_is_405(bench: Bench, method: str) -> None:
    """Results are POSTed."""
    exchange = bench.post(method=method)
    assert exchange.status == 405
    assert b"Allow: POST" in exchange.raw
    assert bench.counts["wrong-method"] == 1
    assert bench.taken == []


def test_an_oversized_body_is_413(bench: Bench) -> None:
    """Past 64 KiB nothing is read."""
    assert bench.post(b"x" * (64 * 1024 + 1)).status == 413
    assert bench.counts["too-large"] == 1


def test_a_receiver_that_raises_is_our_fault_and_is_said_once(
    bench: Bench, logged_failures: list[Failure]
) -> None:
    """500 without a trace in it; the log has one trace, however often it happens."""

    def broken(_: bytes) -> bool:
        raise RuntimeError("secret")

    bench.host.register("http://127.0.0.1:9000/broken", broken, bool)
    for _ in range(3):
        exchange = bench.post(path="/broken")
        assert exchange.status == 500
        assert b"secret" not in exchange.raw
    assert bench.counts["failed"] == 3
    assert [failure.getErrorMessage() for failure in logged_failures] == ["secret"]
    logged_failures.clear()


def test_a_result_with_a_length_that_is_too_great_is_taken(bench: Bench) -> None:
    """A card may count wrong; it waits for its answer then, or closes its side."""
    bench.register("http://10.0.0.1:9000/post", b"12345678")
    head = b"POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (len(RESULT) + 7)
    factory: Any = bench.site
    for closes in (True, False):
        card = Connection(factory.buildProtocol(IPv4Address("TCP", CARD, 1)))
        card.send(head + RESULT)
        card.half_close() if closes else bench.clock.advance(module.LIMITS.deadline)
        bench.clock.advance(0)
        assert (card.statuses(), card.closes()) == ([200], True)
        card.leave()
    assert len(bench.taken) == 2


def test_connections_are_bounded_and_slow_ones_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who drips a body is answered as for no result, and cut, after the deadline; over the bound
    the silent one goes.
    """
    monkeypatch.setattr(module, "LIMITS", Limits(deadline=10.0, connections=2))
    factory: Any = bench.host.site()
    silent = Connection(factory.buildProtocol(None))
    slow = [Connection(factory.buildProtocol(None)) for _ in range(2)]
    assert silent.aborted
    silent.leave()
    for connection in slow:
        connection.send(b"POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{")
    for _ in range(10):
        bench.clock.advance(1)
        for connection in slow:
            connection.send(b" ") if not connection.closes() else None
    bench.clock.advance(0)
    assert [connection.statuses() for connection in slow] == [[400], [400]]
    assert all(connection.closes() for connection in slow)
    assert (bench.counts["short"], bench.counts["malformed"]) == (2, 2)
    for connection in slow:
        connection.leave()
    assert bench.clock.getDelayedCalls() == []


def test_one_address_does_not_take_all_connections(bench: Bench) -> None:
    """Whoever holds connections open keeps no card out but those behind its own address."""
    factory: Any = bench.host.site()
    hog, card = IPv4Address("TCP", "10.0.0.66", 1), IPv4Address("TCP", "10.0.0.21", 1)
    open_ones = [Connection(factory.buildProtocol(hog)) for _ in range(80)]
    assert sum(not each.aborted for each in open_ones) == module.LIMITS.per_address
    one = Connection(factory.buildProtocol(card))
    assert not one.aborted
    for connection in [*open_ones, one]:
        connection.leave()


@pytest.mark.parametrize(
    "url", ["", "/post", "https://a/post", "http://u:p@a/post", "http://a/post?x", "http://a:0/"]
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    """ValueError, and nothing is registered."""
    host = CallbackHost(Clock())
    with pytest.raises(ValueError, match="must"):
        host.register(url, bool, bool)
    assert host.places() == []
    assert host.endpoints(()) == []


OURS = ("127.0.0.1", "192.168.1.5", "10.0.0.5", "fd00::5", "fe80::1%eth0", "::1")


@pytest.mark.parametrize(
    ("urls", "endpoints"),
    [
        (["http://192.168.1.5:9000/post"], ["tcp:9000:interface=192.168.1.5"]),
        (["http://127.0.0.1:9000/post"], ["tcp:9000:interface=127.0.0.1"]),
        (["http://127.0.0.9:9000/post"], ["tcp:9000:interface=127.0.0.9"]),
        (["http://localhost:9000/post"], ["tcp:9000:interface=127.0.0.1"]),
        (["http://192.168.1.5/post"], ["tcp:80:interface=192.168.1.5"]),
        (["http://192.168.7.7:9000/post"], ["tcp:9000"]),
        (["http://gantry.example:9000/post"], ["tcp:9000"]),
        (["http://[fd00::5]:9000/post"], [r"tcp6:9000:interface=fd00\:\:5"]),
        (["http://[FD00:0::5]:9000/post"], [r"tcp6:9000:interface=fd00\:\:5"]),
        (["http://[fd00::6]:9000/post"], [r"tcp6:9000:interface=\:\:"]),
        (
            ["http://192.168.1.5:9000/a", "http://192.168.1.5:9000/b"],
            ["tcp:9000:interface=192.168.1.5"],
        ),
        (
            ["http://192.168.1.5:9000/a", "http://10.0.0.5:9000/a", "http://10.0.0.5:9001/a"],
            [
                "tcp:9000:interface=10.0.0.5",
                "tcp:9000:interface=192.168.1.5",
                "tcp:9001:interface=10.0.0.5",
            ],
        ),
        (["http://192.168.1.5:9000/a", "http://gantry:9000/b"], ["tcp:9000"]),
        (["http://[fd00::5]:9000/a", "http://gantry:9000/b"], [r"tcp6:9000:interface=\:\:"]),
    ],
)
def test_where_it_listens(urls: list[str], endpoints: list[str]) -> None:
    """Each port once: at the hosts of its URLs if they are ours, else everywhere."""
    host = CallbackHost(Clock())
    for url in urls:
        host.register(url, bool, bool)
    assert host.endpoints(OURS) == endpoints
    for endpoint in endpoints:
        assert serverFromString(MemoryReactorClock(), endpoint)
