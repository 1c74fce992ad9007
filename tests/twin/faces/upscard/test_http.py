"""The card over HTTP: what comes in the answer, what is called back, whom it calls, its faults."""

import json
import random
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.support import fired
from tests.twin.helpers import Http, http
from tests.wire.material import NASTY
from tests.wire.upscard.readings import decode_live
from twisted_gantry.net.http.client import Answer, NoAnswer
from twisted_gantry.twin.faces.upscard.card import BUSY_ABOVE, UID, Card
from twisted_gantry.twin.faces.upscard.http import UpsHttpFace
from twisted_gantry.twin.faults.flow import PAUSE_ABOVE
from twisted_gantry.twin.faults.settings import UPS_HTTP, UPS_TCP, Faults
from twisted_gantry.twin.world.model import World
from twisted_gantry.wire.upscard.messages import CardRefusal, Result, decode_reply

HOST = "http://127.0.0.1:9000/post"


class Client:
    """A client that notes what is called back; the test says how it ends."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, bytes]] = []
        self.open: list[Deferred[Answer]] = []
        self.hangs = False
        self.patience = 0.0

    def request(
        self, method: str, url: str, *, headers: dict[str, str], body: bytes, patience: float
    ) -> Deferred[Answer]:
        """Note one callback."""
        self.patience = patience
        assert headers == {"Content-Type": "application/json"}
        self.calls.append((method, url, body))
        if not self.hangs:
            return succeed(Answer(200, {}, b""))
        self.open.append(Deferred())
        return self.open[-1]


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.world = World(random.Random(1))
        self.faults = Faults(self.clock.seconds, random.Random(1))
        self.card = Card(self.world.ups["ups2"])
        self.client = Client()
        self.closed = 0
        client: Any = self.client
        self.face = UpsHttpFace(self.card, self.faults, self.clock, client, self._close)
        self.counts = self.face.counts
        self.site = self.face.site()

    def _close(self) -> Deferred[None]:
        self.closed += 1
        return succeed(None)

    def post(self, body: bytes | dict[str, Any], path: str = "/", method: str = "POST") -> Http:
        """Send one command."""
        return http(self.site, method, path, body)

    def ask(self, cmd: str, **fields: str) -> dict[str, Any]:
        """Send one command and take its one result from the callback."""
        exchange = self.post({"session": "7", "host": HOST, "cmd": cmd, **fields})
        assert (exchange.status, exchange.body) == (200, b"")
        self.clock.advance(0)
        [(method, url, body)] = self.client.calls
        self.client.calls.clear()
        assert (method, url) == ("POST", HOST)
        result: dict[str, Any] = json.loads(body)
        return result

    def state(self) -> Any:
        return self.world.snapshot()["ups2.state"]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("path", ["/", "/post", "/a/b?c=d", "/%ff"])
def test_any_path_is_taken(bench: Bench, path: str) -> None:
    """The document gives none."""
    assert bench.post({"session": "1", "host": HOST, "cmd": "QAD"}, path).status == 200
    bench.clock.advance(0)
    assert len(bench.client.calls) == 1


def test_a_result_goes_to_host_after_the_200(bench: Bench) -> None:
    """The command is accepted with an empty 200, then its result is POSTed."""
    exchange = bench.post({"session": "7", "host": HOST, "cmd": "QAD"})
    assert (exchange.status, exchange.body) == (200, b"")
    assert bench.client.calls == []
    bench.clock.advance(0)
    [(_, url, body)] = bench.client.calls
    assert url == HOST
    reply = decode_reply(body)
    assert isinstance(reply, Result)
    assert (reply.uid, reply.session, reply.cmd) == (UID, "7", "QAD")
    assert decode_live(reply.value)["state"].value == "line"


def test_controls_act_on_their_own_ups(bench: Bench) -> None:
    """A control changes the UPS behind this card, and no other."""
    assert bench.ask("SOFF")["value"] == "(OK"
    assert bench.state() == "standby"
    assert bench.world.snapshot()["ups1.state"] == "line"
    assert bench.ask("NONSENSE")["value"] == "(FAILED"


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"{oh}", CardRefusal(result=101)),
        (b'["QAD"]', CardRefusal(result=101)),
        (b'{"cmd": "QAD", "host": "' + HOST.encode() + b'"}', CardRefusal(result=102, cmd="QAD")),
        (
            b'{"session": "1", "cmd": "SOFF"}',
            CardRefusal(result=104, uid=UID, session="1", cmd="SOFF"),
        ),
        (
            b'{"session": "1", "cmd": "SOFF", "pass": "xxxxxxxxxxxxxxxx"}',
            CardRefusal(result=106, uid=UID, session="1", cmd="SOFF"),
        ),
    ],
)
def test_without_a_url_the_error_is_in_the_answer(
    bench: Bench, body: bytes, answer: CardRefusal
) -> None:
    """101, 102, 104, and what else has no `host`, come in the body of the 200; nobody is called."""
    exchange = bench.post(body)
    assert exchange.status == 200
    assert decode_reply(exchange.body) == answer
    bench.clock.advance(1)
    assert bench.client.calls == []
    assert bench.counts["in-answer"] == 1
    assert bench.state() == "line"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"cmd": "QAD", "pass": "wrong"}, "103"),
        ({"pass": "secret"}, "105"),
        ({"cmd": "SOFF", "pass": "x" * 16}, "106"),
        ({"cmd": "SOFF", "pass": "secret", "new_pass": "x" * 16}, "106"),
    ],
)
def test_the_other_errors_go_to_host(bench: Bench, fields: dict[str, str], code: str) -> None:
    """103, 105 and 106 are called back, and nothing was done."""
    bench.card.password = "secret"
    assert bench.post({"session": "7", "host": HOST, **fields}).body == b""
    bench.clock.advance(0)
    [(_, _, body)] = bench.client.calls
    assert json.loads(body)["result"] == code
    assert bench.state() == "line"


@pytest.mark.parametrize(
    "host",
    [
        "http://192.168.1.5:9000/post",
        "http://example.com/",
        "http://127.0.0.1.example.com/",
        "http://[::ffff:8.8.8.8]/",
        "http://0.0.0.0:9000/",
        "http://2130706433/",
    ],
)
def test_nobody_else_is_called(bench: Bench, host: str) -> None:
    """A `host` that is not this machine is as good as none: 104, counted, and nothing is done."""
    exchange = bench.post({"session": "7", "host": host, "cmd": "SOFF"})
    assert json.loads(exchange.body)["result"] == "104"
    bench.clock.advance(1)
    assert bench.client.calls == []
    assert bench.counts["foreign-host"] == 1
    assert bench.state() == "line"


@pytest.mark.parametrize(
    "host", ["ftp://127.0.0.1/", "https://127.0.0.1/", "127.0.0.1:9000", "http://a@127.0.0.1/"]
)
def test_only_http_urls_are_called(bench: Bench, host: str) -> None:
    """What is no plain http URL is as good as none, also under another error."""
    assert b'"104"' in bench.post({"session": "7", "host": host, "cmd": "SOFF"}).body
    bench.card.password = "x"
    assert b'"106"' in bench.post({"session": "7", "host": host, "pass": "x" * 16}).body
    bench.clock.advance(1)
    assert bench.client.calls == []


@pytest.mark.parametrize("host", ["http://localhost:1/", "http://[::1]:9000/post", HOST])
def test_this_machine_is_called(bench: Bench, host: str) -> None:
    """Loopback, by its name or an address."""
    bench.post({"session": "7", "host": host, "cmd": "QAD"})
    bench.clock.advance(0)
    assert [url for _, url, _ in bench.client.calls] == [host]


def test_a_new_password_counts_after_the_result(bench: Bench) -> None:
    """The old one rules until the result is on its way, also when that is lost."""
    bench.faults.put(UPS_HTTP, {"delay": 1})
    bench.post({"session": "1", "host": HOST, "cmd": "QAD", "new_pass": "one"})
    assert bench.card.password == ""
    bench.clock.advance(1)
    assert bench.card.password == "one"
    bench.faults.put(UPS_HTTP, {"drop": 1})
    bench.post({"session": "1", "host": HOST, "cmd": "QAD", "pass": "one", "new_pass": "clear"})
    bench.clock.advance(0)
    assert bench.card.password == ""


def test_callbacks_that_fail_are_counted(bench: Bench) -> None:
    """A host that is not there, or does not want it, harms nothing."""
    bench.client.hangs = True
    for session in ("1", "2", "3"):
        bench.post({"session": session, "host": HOST, "cmd": "QAD"})
    bench.clock.advance(0)
    bench.client.open[0].errback(Failure(NoAnswer("gone")))
    bench.client.open[1].callback(Answer(410, {}, b""))
    bench.client.open[2].callback(Answer(204, {}, b""))
    assert (bench.counts["callbacks"], bench.counts["callback-failed"]) == (3, 2)


def test_the_callbacks_that_wait_are_bounded(bench: Bench) -> None:
    """Beyond one bound the card is BUSY, beyond the next it takes no command; then it recovers."""
    bench.client.hangs = True
    command = {"session": "7", "host": HOST, "cmd": "BZON"}
    exchanges = [bench.post(command) for _ in range(PAUSE_ABOVE + 5)]
    assert [exchange.status for exchange in exchanges] == [200] * PAUSE_ABOVE + [503] * 5
    bench.clock.advance(0)
    bodies = [json.loads(body) for _, _, body in bench.client.calls]
    assert ["value" in body for body in bodies] == [n < BUSY_ABOVE for n in range(PAUSE_ABOVE)]
    assert {body.get("result") for body in bodies} == {None, "201"}
    assert bench.counts["overloaded"] == 5
    for callback in bench.client.open:
        callback.callback(Answer(200, {}, b""))
    bench.client.hangs = False
    bench.client.calls.clear()
    assert bench.ask("QAD")["cmd"] == "QAD"


def test_stopping_gives_up_what_waits(bench: Bench) -> None:
    """No timer is left, and no callback goes out any more."""
    bench.face.startService()  # type: ignore[no-untyped-call]
    bench.client.hangs = True
    bench.post({"session": "1", "host": HOST, "cmd": "QAD"})
    bench.clock.advance(0)
    bench.faults.put(UPS_HTTP, {"delay": 5})
    bench.post({"session": "2", "host": HOST, "cmd": "QAD"})
    waiting = bench.post(b"{oh}")
    bench.face.stopService()
    waiting.close()
    assert bench.clock.getDelayedCalls() == []
    assert len(bench.client.calls) == 1
    assert bench.counts["callback-failed"] == 1
    assert bench.closed == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_another_method_is_405(bench: Bench, method: str) -> None:
    """Commands are POSTed."""
    assert bench.post({"session": "1", "host": HOST, "cmd": "SOFF"}, method=method).status == 405
    assert bench.state() == "line"


def test_an_oversized_command_is_413(bench: Bench) -> None:
    """Past 64 KiB nothing is read."""
    assert bench.post(b"x" * (64 * 1024 + 1)).status == 413
    assert bench.counts["too-large"] == 1


@pytest.mark.parametrize("name", NASTY)
def test_nasty_bodies_are_answered(bench: Bench, name: str) -> None:
    """No body raises, and none acts."""
    assert bench.post(NASTY[name][:60_000]).status == 200
    assert bench.state() == "line"


def test_delay_and_drop_act_on_the_result(bench: Bench) -> None:
    """The 200 comes and the command acts at once; the result comes later, or never."""
    bench.faults.put(UPS_HTTP, {"delay": 2})
    assert bench.post({"session": "1", "host": HOST, "cmd": "SOFF"}).status == 200
    assert bench.state() == "standby"
    bench.clock.advance(1.9)
    assert bench.client.calls == []
    bench.clock.advance(0.1)
    assert len(bench.client.calls) == 1
    bench.faults.put(UPS_HTTP, {"drop": 1})
    assert bench.post({"session": "2", "host": HOST, "cmd": "SON"}).status == 200
    bench.clock.advance(10)
    assert bench.state() == "line"
    assert len(bench.client.calls) == 1
    assert bench.counts["dropped"] == 1


def test_delay_holds_an_error_in_the_answer(bench: Bench) -> None:
    """What comes in the answer comes later, too; a client that went is no error."""
    bench.faults.put(UPS_HTTP, {"delay": 2})
    gone, waiting = bench.post(b"{oh}"), bench.post(b"{oh}")
    gone.close()
    assert waiting.raw == b""
    bench.clock.advance(2)
    assert decode_reply(waiting.body) == CardRefusal(result=101)
    assert gone.raw == b""


def test_garbage_comes_for_a_result(bench: Bench) -> None:
    """The command acts; what is called back is no JSON."""
    bench.faults.put(UPS_HTTP, {"garbage": 1})
    bench.post({"session": "1", "host": HOST, "cmd": "SOFF"})
    bench.clock.advance(0)
    [(_, _, body)] = bench.client.calls
    assert body.startswith(b"\xff")
    assert bench.state() == "standby"


def test_half_a_result_and_a_result_that_comes_twice(bench: Bench) -> None:
    """The command acts once; half of its result is POSTed, or all of it in two POSTs."""
    bench.faults.put(UPS_HTTP, {"half": 1})
    bench.post({"session": "1", "host": HOST, "cmd": "BZOFF"})
    bench.faults.put(UPS_HTTP, {"duplicate": 1})
    bench.post({"session": "1", "host": HOST, "cmd": "QAD"})
    bench.clock.advance(0)
    half, whole, again = [body for _, _, body in bench.client.calls]
    assert half == b'{"uid":"201701013805","session":"1'[: len(half)]
    assert whole == again
    assert bench.counts["answered"] == 2
    assert bench.world.snapshot()["ups2.buzzer_muted"] is True


def test_half_of_an_answer(bench: Bench) -> None:
    """What comes in the answer to a command ends short of its length; the connection closes."""
    bench.faults.put(UPS_HTTP, {"half": 1})
    exchange = bench.post(b"{oh}")
    assert exchange.transport.disconnecting
    assert exchange.body == b'{"result"'
    assert b"Content-Length: 19\r\n" in exchange.raw


def test_a_dripping_result(bench: Bench) -> None:
    """A result goes out as a body that takes its time."""
    bench.faults.put(UPS_HTTP, {"drip": 100})
    bench.post({"session": "1", "host": HOST, "cmd": "BZON"})
    bench.clock.advance(0)
    [(_, _, body)] = bench.client.calls
    producer: Any = body
    assert bench.client.patience == pytest.approx(producer.length / 100)
    consumer = StringTransport()
    written = fired(producer.startProducing(consumer))
    bench.clock.pump([0.1] * 3)
    assert len(consumer.value()) == 30
    bench.clock.pump([0.1] * 10)
    assert len(consumer.value()) == producer.length
    assert written == [None]
    assert isinstance(decode_reply(consumer.value()), Result)


def test_a_frozen_card_answers_when_it_is_over(bench: Bench) -> None:
    """Nothing is done and nothing called back until then; who left is forgotten."""
    bench.faults.put(UPS_HTTP, {"frozen": True})
    waiting = bench.post({"session": "1", "host": HOST, "cmd": "SOFF"})
    gone = bench.post({"session": "2", "host": HOST, "cmd": "BZOFF"})
    gone.close()
    bench.clock.pump([0.1] * 100)
    assert waiting.raw == b""
    assert bench.state() == "line"
    bench.faults.clear(UPS_HTTP)
    bench.clock.pump([0.1, 0.0])
    assert waiting.status == 200
    assert bench.state() == "standby"
    assert [json.loads(body)["session"] for _, _, body in bench.client.calls] == ["1"]
    assert not bench.clock.getDelayedCalls()


def test_busy_and_code_do_nothing(bench: Bench) -> None:
    """201, or the code that is set, goes to `host`; 104 comes in the answer."""
    bench.faults.put(UPS_HTTP, {"busy": True})
    assert bench.ask("SOFF")["result"] == "201"
    bench.faults.put(UPS_HTTP, {"code": "999"})
    assert bench.ask("SOFF")["result"] == "999"
    bench.faults.put(UPS_HTTP, {"code": "104"})
    exchange = bench.post({"session": "1", "host": HOST, "cmd": "SOFF"})
    assert json.loads(exchange.body)["result"] == "104"
    assert bench.state() == "line"


def test_http_status_does_nothing(bench: Bench) -> None:
    """The status that is set comes without a body."""
    bench.faults.put(UPS_HTTP, {"http_status": 503})
    exchange = bench.post({"session": "1", "host": HOST, "cmd": "SOFF"})
    assert (exchange.status, exchange.body) == (503, b"")
    bench.clock.advance(1)
    assert bench.client.calls == []
    assert bench.state() == "line"


@pytest.mark.parametrize("refusal", [{"busy": True}, {"code": "999"}, {"code": "104"}])
def test_what_was_refused_is_told_whole(bench: Bench, refusal: dict[str, Any]) -> None:
    """`code` and `busy` decide before `drop`: nothing was done whose answer could be lost."""
    bench.faults.put(UPS_HTTP, {"drop": 1, **refusal})
    exchange = bench.post({"session": "1", "host": HOST, "cmd": "SOFF"})
    bench.clock.advance(0)
    told = exchange.body + b"".join(body for _, _, body in bench.client.calls)
    assert json.loads(told)["result"] == refusal.get("code", "201")


def test_an_http_status_may_come_late(bench: Bench) -> None:
    """`delay` goes with it."""
    bench.faults.put(UPS_HTTP, {"http_status": 503, "delay": 1})
    exchange = bench.post({"session": "1", "host": HOST, "cmd": "SOFF"})
    assert exchange.raw == b""
    bench.clock.advance(1)
    assert exchange.status == 503


def test_refuse_cuts_the_connection(bench: Bench) -> None:
    """No answer, and nothing is done."""
    bench.faults.put(UPS_HTTP, {"refuse": True})
    exchange = bench.post({"session": "1", "host": HOST, "cmd": "SOFF"})
    assert exchange.raw == b""
    assert exchange.transport.disconnecting
    assert bench.counts["cut"] == 1
    assert bench.state() == "line"
    assert bench.clock.getDelayedCalls() == []


def test_faults_of_the_tcp_face_are_its_own(bench: Bench) -> None:
    """The two faces misbehave each on its own."""
    bench.faults.put(UPS_TCP, {"busy": True})
    assert "value" in bench.ask("QAD")
