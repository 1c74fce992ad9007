"""`monitor.do` of the centre: every code in its order, and when a report is acknowledged."""

import json
from hashlib import md5
from typing import Any

import pytest
from twisted.python.failure import Failure

from tests.centre.fronts.rig import CODE, ONE, OTHER_CODE, TWO, WAITS, FrontRig
from twisted_gantry.centre.fronts import uploads as module
from twisted_gantry.centre.interfaces import NotStored
from twisted_gantry.centre.model import Gantry, Verdict
from twisted_gantry.centre.store import cards, refusals
from twisted_gantry.centre.store import registry as stored
from twisted_gantry.testing.clock import START
from twisted_gantry.wire.secret import Secret

FUTURE, PAST = str(int(START + 301)), str(int(START - 400 * 86_400))
# What is wrong with a request, in the order in which the checks find it.
MISTAKES: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("1001", {"code": "wrong"}, {}),
    ("1004", {"digest": "0" * 32}, {}),
    ("1002", {"broken": True}, {}),
    ("1001", {}, {"gantry": TWO}),
    ("1006", {}, {"version": "1002"}),
    ("1002", {}, {"method": "cabinetControl"}),
    ("1003", {}, {"timeStamp": FUTURE}),
)


@pytest.fixture
def rig() -> FrontRig:
    return FrontRig()


@pytest.mark.parametrize("first", range(len(MISTAKES)))
def test_the_first_mistake_counts(rig: FrontRig, first: int) -> None:
    """A request with a mistake and with all later ones gets the code of the first."""
    sent: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    for _, of_request, of_body in reversed(MISTAKES[first:]):
        sent |= of_request
        fields |= of_body
    gantry = fields.pop("gantry", ONE)
    body = rig.body(gantry, **fields)
    if sent.pop("broken", False):
        body = b"]" + body
    answer = rig.ask(body, **sent)
    assert answer.code == MISTAKES[first][0]
    assert rig.store.codes == [MISTAKES[first][0]]
    assert rig.store.reports == []


@pytest.mark.parametrize(
    ("code", "sent", "fields"),
    [
        ("1000", {}, {}),
        ("1000", {"digest_upper": True}, {}),
        ("1000", {}, {"timeStamp": str(int(START + 300))}),
        ("1000", {}, {"timeStamp": PAST}),
        ("1000", {}, {"timeStamp": "0"}),
        ("1000", {}, {"timeStamp": None}),
        ("1000", {}, {"timeStamp": "yesterday"}),
        ("1000", {}, {"timeStamp": START}),
        ("1000", {}, {"version": None}),
        ("1000", {}, {"version": 1001}),
        ("1000", {}, {"version": "1001.0"}),
        ("1000", {}, {"gantryId": f" {ONE} "}),
        ("1000", {}, {"cabinetStatus": {}}),
        ("1000", {}, {"cabinetStatus": {"id": "1", "smokeSensor": 7, "ups": "GetFailed"}}),
        ("1000", {}, {"method": "computerStatusUpdate", "computerStatus": []}),
        ("1001", {"code": None}, {}),
        ("1001", {"code": ""}, {}),
        ("1001", {"code": "x" * 200}, {}),
        ("1001", {"code": "code-that-waits"}, {"gantryId": WAITS}),
        ("1001", {}, {"gantryId": WAITS}),
        ("1001", {}, {"gantryId": "G999"}),
        ("1001", {}, {"gantryId": "x" * 5000}),
        ("1002", {}, {"gantryId": None}),
        ("1002", {}, {"gantryId": []}),
        ("1002", {}, {"method": None}),
        ("1002", {}, {"cabinetStatus": None}),
        ("1000", {}, {"timeStamp": str(int(START * 1000))}),
        ("1003", {}, {"timeStamp": str(int(START + 301))}),
        ("1003", {}, {"timeStamp": "9" * 11}),
        ("1004", {"digest": ""}, {}),
        ("1004", {"digest": "\u00e9"}, {}),
        ("1006", {}, {"version": "1.1"}),
    ],
)
def test_each_code(rig: FrontRig, code: str, sent: dict[str, Any], fields: dict[str, Any]) -> None:
    """Only a broken envelope is 1002, and only the future is 1003."""
    body = rig.body(**fields)
    if sent.pop("digest_upper", False):
        sent = {"digest": f" {md5(body).hexdigest().upper()} "}
    assert rig.ask(body, **sent).code == code
    assert len(rig.store.reports) == (code == "1000")


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 5000, b"{" * 99])
def test_what_is_no_object_is_1002(rig: FrontRig, body: bytes) -> None:
    """A body with the right digest that is no JSON object is a broken envelope."""
    assert rig.ask(body).code == "1002"


def test_what_is_stored(rig: FrontRig) -> None:
    """The report has the registry's id, the bytes as they came, and what they tell."""
    fields = {"id": "1", "smokeSensor": {"status": "1", "isWarning": "1"}}
    body = rig.body(f"{ONE} ", cabinetStatus=fields)
    assert rig.ask(body).code == "1000"
    [report] = rig.store.reports
    assert (report.gantry, report.method, report.stamp) == (ONE, "cabinetStatusUpdate", START)
    assert (report.received_at, report.body, report.digest) == (START, body, md5(body).digest())
    assert [each.subject for each in report.told] == ["cabinet-1"]
    assert "smoke" in report.told[0].raised


@pytest.mark.parametrize("stamp", ["0", "-5", "NoData", str(int(START * 1000)), None])
def test_a_stamp_that_is_none(rig: FrontRig, stamp: str | None) -> None:
    """What is no time in seconds is left to the reception; reports with it may say the same."""
    assert rig.ask(rig.body(timeStamp=stamp)).code == "1000"
    assert [each.stamp for each in rig.store.reports] == [None]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body.replace(b'"timeStamp"', b'" timeStamp "'),
        lambda body: body.replace(b'"cabinetStatus"', b'"\\u0063abinetStatus"'),
        lambda body: body.replace(b":", b" : "),
        lambda body: body[:-1] + b",}",
        lambda body: body[:-1] + b',"x":nan}',
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: body + b"\0",
        lambda body: b"[" + body + b"]",
        lambda body: body.replace(b'"1","smoke', b'"1" "smoke'),
        lambda body: body.replace(b'"isWarning":"1"', b'"isWarning":"1\\u0000"'),
    ],
)
def test_odd_spellings_tell_the_same(rig: FrontRig, spoil: Any) -> None:
    """The fast path and the general one read the same from what means the same."""
    smoke = {"id": "1", "smokeSensor": {"status": "1", "isWarning": "1"}}
    plain = rig.body(cabinetStatus=smoke)
    assert rig.ask(plain).code == rig.ask(spoil(plain)).code == "1000"
    one, other = rig.store.reports
    assert "smoke" in other.told[0].raised
    assert (other.stamp, other.gantry) == (one.stamp, one.gantry)


def test_a_key_that_comes_twice_is_not_believed(rig: FrontRig) -> None:
    """An id that stands twice with different values is none."""
    body = rig.body().replace(b'{"gantryId"', b'{"gantryId":"%b","gantryId"' % TWO.encode())
    assert rig.ask(body).code == "1002"
    assert rig.ask(body, code=OTHER_CODE).code == "1002"


def test_1000_comes_after_the_commit(rig: FrontRig) -> None:
    """Nothing is said before the store has it; a duplicate gets the same answer."""
    rig.store.verdict = None
    first, again = rig.ask(rig.body()), rig.ask(rig.body())
    assert (first.code, again.code) == (None, None)
    rig.store.puts[0].callback(Verdict.STORED)
    rig.store.puts[1].callback(Verdict.DUPLICATE)
    assert first.body == again.body
    assert json.loads(first.body or b"") == {"code": "1000", "msg": "成功"}
    assert rig.uploads.counts["code-1000"] == 2


def test_a_full_queue_is_1005_and_a_failed_store_1008(rig: FrontRig) -> None:
    """What is not committed is never acknowledged, and both are counted."""
    rig.store.verdict = None
    failed = rig.ask(rig.body())
    rig.store.puts[0].errback(Failure(NotStored("the disk is full")))
    rig.store.full = True
    assert (failed.code, rig.ask(rig.body()).code) == ("1008", "1005")
    assert rig.store.codes == ["1008", "1005"]


def test_a_mistake_of_the_store_is_1008(rig: FrontRig, logged_failures: list[Failure]) -> None:
    """A fault of ours is logged, and the gantry keeps its report."""
    rig.store.verdict = None
    failed = rig.ask(rig.body())
    rig.store.puts[0].errback(Failure(KeyError("x")))
    assert failed.code == "1008"
    rig.store.put = None
    assert rig.ask(rig.body()).code == "1008"
    assert len(logged_failures) == 2
    logged_failures.clear()
    assert rig.uploads.counts["failed"] == 2


def test_what_waits_is_bounded(rig: FrontRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """One gantry cannot fill the queue, and large bodies cannot fill the memory."""
    monkeypatch.setattr(module, "MOST_OF_ONE", 2)
    rig.store.verdict = None
    assert [rig.ask(rig.body()).code for _ in range(3)] == [None, None, "1005"]
    monkeypatch.setattr(module, "MOST_BYTES", 3 * len(rig.body()))
    assert rig.ask(rig.body(TWO), code=OTHER_CODE).code is None
    assert rig.ask(rig.body(TWO), code=OTHER_CODE).code == "1005"
    for each in rig.store.puts:
        each.callback(Verdict.STORED)
    assert rig.ask(rig.body()).code is None


def test_before_the_registry_is_read_nobody_is_refused(rig: FrontRig) -> None:
    """A front that does not know the registry yet answers 1008: the gantry comes again."""
    rig.registry.stopService()
    fresh = FrontRig()
    fresh.registry._version = -1
    assert fresh.ask(fresh.body()).code == "1008"


def test_forms_are_taken(rig: FrontRig) -> None:
    """One part of a form is the report, by the digest of the part or of the whole form."""
    body = rig.body()
    form = b'--xx\r\nContent-Disposition: form-data; name="data"\r\n\r\n' + body + b"\r\n--xx--\r\n"
    kind = "multipart/form-data; boundary=xx"
    assert rig.ask(form, content_type=kind).code == "1000"
    assert rig.ask(form, digest=md5(body).hexdigest(), content_type=kind).code == "1000"
    assert {each.body for each in rig.store.reports} == {body}
    assert rig.ask(form, digest="0" * 32, content_type=kind).code == "1004"
    assert rig.ask(form, content_type="multipart/form-data").code == "1002"
    assert rig.ask(form, digest="0" * 32, content_type="multipart/form-data").code == "1004"


def test_a_change_of_the_registry_counts_within_a_second(rig: FrontRig) -> None:
    """A new code takes the place of the old one, and a removed gantry is unknown."""
    rig.put(Gantry(ONE, auth=Secret("new")))
    assert rig.ask(rig.body()).code == "1000"
    rig.clock.advance(1)
    assert (rig.ask(rig.body()).code, rig.ask(rig.body(), code="new").code) == ("1001", "1000")
    rig.store.write(lambda session: stored.remove(session, ONE))
    rig.clock.advance(1)
    assert rig.ask(rig.body(), code="new").code == "1001"


def test_who_was_refused_is_told(rig: FrontRig) -> None:
    """People see which gantry, from where, with which code, why and when."""
    rig.ask(rig.body(), code="wrong")
    rig.clock.advance(60)
    rig.ask(rig.body(), code="wrong")
    rig.ask(rig.body(TWO))
    rig.ask(b"{\0}", peer="192.0.2.9")
    rig.clock.advance(2)
    found: list[refusals.Refusal] = []
    rig.store.read(refusals.latest).addCallback(found.extend)
    assert {(e.gantry, e.address, e.code, e.times) for e in found} == {
        (ONE, "192.0.2.1", "1001", 2),
        (TWO, "192.0.2.1", "1001", 1),
        ("", "192.0.2.9", "1002", 1),
    }
    one = next(each for each in found if each.gantry == ONE)
    assert one.why == "wrong or missing binfile-auth"
    assert one.last_at >= START + 60
    assert one.first_at < START + 60


def test_wrong_codes_have_a_rate(rig: FrontRig) -> None:
    """An address that guesses gets 1005; the right code from there is taken all the same."""
    codes = [rig.ask(rig.body(), code=f"guess {number}").code for number in range(400)]
    assert codes[0] == "1001"
    assert codes[-1] == "1005"
    assert rig.ask(rig.body()).code == "1000"
    assert rig.ask(rig.body(), code="guess", peer="192.0.2.77").code == "1001"


def test_a_strangers_body_is_not_decoded(rig: FrontRig) -> None:
    """Without a code of the registry a body is 1001, whatever it is."""
    assert rig.ask(b"[" * 1_000_000, code="wrong").code == "1001"
    assert rig.ask(rig.body(), code="wrong", digest="").code == "1001"


def test_addresses_behind_a_proxy() -> None:
    """Only a trusted proxy names the client; the nearest foreign address counts."""
    rig = FrontRig(proxies=["10.0.0.0/8"], allowed_clients=["10.0.0.0/8", "192.0.2.0/24"])

    def client(peer: str, **headers: str) -> str:
        rig.ask(rig.body(), code="wrong", peer=peer, **headers)
        return list(rig.refusals._waiting)[-1][1]

    assert client("198.51.100.7", x_forwarded_for="192.0.2.1") == "198.51.100.7"
    assert client("10.0.0.1", x_forwarded_for="192.0.2.5, 192.0.2.6, 10.0.0.2") == "192.0.2.6"
    assert client("10.0.0.1", x_real_ip="192.0.2.8") == "192.0.2.8"
    assert client("10.0.0.1", x_forwarded_for="nonsense, 192.0.2.9 ") == "192.0.2.9"
    assert client("10.0.0.1", x_forwarded_for="192.0.2.9, nonsense") == "10.0.0.1"
    assert rig.ask(rig.body(), peer="10.0.0.1", x_forwarded_for="192.0.2.1").code == "1000"
    assert rig.ask(rig.body(), peer="10.0.0.1", x_forwarded_for="203.0.113.1").code == "1001"


def registered(rig: FrontRig) -> list[str]:
    rig.clock.advance(1)
    return [each.gantry.id for each in rig.registry.entries if each.gantry.pending]


def test_unknown_gantries_register_themselves() -> None:
    """With `register` a gantry waits for a person, who approves it with the code that it gave."""
    rig = FrontRig(unknown_gantries="register")
    assert rig.ask(rig.body("G77"), code="its own").code == "1001"
    assert rig.ask(rig.body("G78")).code == "1001"
    assert registered(rig) == [WAITS, "G77", "G78"]
    assert rig.ask(rig.body("G77"), code="its own").code == "1001"
    rig.put(Gantry("G77", name="approved"))
    rig.clock.advance(1)
    assert rig.ask(rig.body("G77"), code="its own").code == "1000"
    assert rig.ask(rig.body("G77"), code="another").code == "1001"


def test_registering_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger can neither replace a gantry nor fill the registry."""
    rig = FrontRig(unknown_gantries="register")
    for each in (ONE, WAITS, "x" * 21, "", "\x07"):
        rig.ask(rig.body(each), code="a guess")
    assert registered(rig) == [WAITS]
    for number in range(100):
        rig.ask(rig.body(f"S{number}"), code="a guess", peer=f"192.0.2.{number}")
    assert len(registered(rig)) <= 1 + module.REGISTERED_BURST
    for number in range(200):
        rig.clock.advance(1)
        rig.ask(rig.body(f"T{number}"), peer="192.0.2.200")
    assert sum(each.startswith("T") for each in registered(rig)) <= 105
    monkeypatch.setattr(stored, "MOST_PENDING", 3)
    rig.clock.advance(60)
    known = registered(rig)
    rig.ask(rig.body("G99"), code="a guess")
    assert registered(rig) == known


def test_unknown_gantries_are_refused(rig: FrontRig) -> None:
    """By default nothing is noted of them but the refusal."""
    rig.ask(rig.body("G77"))
    rig.ask(rig.body("G77"), code="its own")
    assert registered(rig) == [WAITS]


def test_white_lists(rig: FrontRig) -> None:
    """A gantry gets a newer list, and the centre knows which it has; it is no report."""
    ask: dict[str, Any] = {"method": "queryAndGetCardInfo", "cabinetStatus": None}
    none = rig.ask(rig.body(**ask, data={"curVersion": "20260101000000"}))
    assert json.loads(none.body or b"")["data"] == {"isExistLatestVersion": "0"}
    found: list[cards.CardsOf] = []
    rig.store.read(cards.of_gantries).addCallback(found.extend)
    assert [each.version for each in found if each.gantry == ONE] == ["20260101000000"]
    assert rig.ask(rig.body(**ask, data={})).code == "1000"
    assert rig.ask(rig.body(**ask, data="odd")).code == "1000"
    assert rig.store.reports == []


def test_nothing_secret_is_told(rig: FrontRig) -> None:
    """Neither refusals nor the registry show a code."""
    rig.ask(rig.body(TWO), code=CODE)
    assert CODE not in repr(rig.refusals._waiting)
    assert CODE not in repr(rig.registry.entries)
