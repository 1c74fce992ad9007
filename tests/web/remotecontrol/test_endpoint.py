"""`remotecontrol.do`: its codes in their order, plain HTTP, replays, and what a peer cannot do."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from tests.support import fired
from tests.web.remotecontrol.rig import AUTH, DONE, GANTRY, RemoteRig
from tests.wire.material import NASTY, checked, document, json_with, likely_bytes
from twisted_gantry.core.commands.types import CommandResult
from twisted_gantry.core.stored import AuditEntry
from twisted_gantry.wire.etc.envelope import MESSAGES, EtcCode, Method, digest, signed_headers
from twisted_gantry.wire.json import dumps

UPDATE = {"updateNow": "1"}


@pytest.mark.parametrize("name", ["etc-2.2.3", "etc-3.2.4-update", "etc-3.2.4-power-mode"])
def test_the_documents_examples(name: str) -> None:
    """Each example of the document is done, and answered in the document's shape."""
    rig = RemoteRig()
    rig.clock.wall_offset = 1_564_734_526 + 60.0
    answer = rig.send(document(name)).ended()
    assert answer.status == 200
    assert answer.json == {"code": "1000", "msg": "成功"}
    # Section 1.6 prints its example with curly quotes; its keys are these.
    assert [f"“{key}”" in document("etc-1.6").decode() for key in answer.json] == [True, True]
    assert not rig.untouched()


def _envelope(rig: RemoteRig, **change: Any) -> bytes:
    whole = {
        "gantryId": GANTRY,
        "method": "computerControl",
        "timeStamp": str(int(rig.clock.now())),
        "version": "1001",
        "computerControl": UPDATE,
    }
    return dumps({key: value for key, value in (whole | change).items() if value is not None})


# Every way in which an envelope can be wrong, in the order in which it is looked at.
WRONG = [
    (EtcCode.BAD_PARAMETERS, {"version": None}),
    (EtcCode.UNKNOWN_VERSION, {"version": "1000"}),
    (EtcCode.BAD_PARAMETERS, {"gantryId": "G000211001002110011"}),
    (EtcCode.BAD_PARAMETERS, {"gantryId": None}),
    (EtcCode.BAD_PARAMETERS, {"method": "computerStatusUpdate"}),
    (EtcCode.BAD_PARAMETERS, {"method": None}),
    (EtcCode.BAD_PARAMETERS, {"timeStamp": "yesterday"}),
    (EtcCode.BAD_PARAMETERS, {"timeStamp": None}),
    (EtcCode.BAD_PARAMETERS, {"computerControl": None}),
    (EtcCode.BAD_PARAMETERS, {"computerControl": {}}),
    (EtcCode.BAD_PARAMETERS, {"computerControl": {"setFrequency": "1"}}),
    (EtcCode.CLOCK_SKEW, {"timeStamp": "1699999699"}),
    (EtcCode.CLOCK_SKEW, {"timeStamp": "1700000301"}),
]


@pytest.mark.parametrize(("code", "change"), WRONG)
def test_each_mistake_has_its_code(rig: RemoteRig, code: EtcCode, change: dict[str, Any]) -> None:
    """What is wrong with a signed request is told by its code, with HTTP 200; nothing is done."""
    answer = rig.send(_envelope(rig, **change)).ended()
    assert answer.json == {"code": str(code.value), "msg": MESSAGES[code]}
    assert answer.status == 200
    assert rig.untouched()
    assert rig.control.counts[f"code-{code.value}"] == 1


@pytest.mark.parametrize("off", [-300, 300])
def test_a_clock_may_be_off_by_the_setting(rig: RemoteRig, off: int) -> None:
    """A time stamp that is off by exactly `max_clock_skew` is taken."""
    body = _envelope(rig, timeStamp=str(int(rig.clock.now()) + off))
    assert rig.send(body).ended().code == "1000"


def test_the_checks_run_in_their_order() -> None:
    """Of several things that are wrong, the first of 1001 1005 1004 1002 1006 1002 1003 is told."""
    rig = RemoteRig(rate=1.0)
    good = _envelope(rig)
    old = _envelope(rig, timeStamp="1")
    bad_fields = _envelope(rig, timeStamp="1", computerControl={"setFrequency": "0"})
    bad_cabinet = _envelope(
        rig, timeStamp="1", method="cabinetControl", cabinetControl={"cmd": "10", "cabinetId": "9"}
    )
    old_version = _envelope(rig, version="1", method="x", timeStamp="1")
    not_json = b"{"
    elsewhere = "198.51.100.1"

    def code(body: bytes, headers: dict[str, str] | None = None, host: str = "192.0.2.1") -> str:
        return rig.send(body, headers, host).ended().code

    assert code(old) == "1003"
    assert code(bad_fields) == "1002"
    assert code(bad_cabinet) == "1002"
    assert code(old_version) == "1006"
    assert code(not_json) == "1002"
    unsigned = {"binfile-auth": AUTH, "binfile-md5": "0" * 32}
    assert code(not_json, unsigned) == "1004"
    assert code(not_json, {"binfile-auth": AUTH}) == "1004"
    assert code(not_json, {"binfile-auth": "x", "binfile-md5": "0" * 32}) == "1001"
    assert code(not_json, {}) == "1001"
    for _ in range(100):
        code(not_json, host=elsewhere)
    assert code(not_json, {"binfile-auth": AUTH}, elsewhere) == "1005"
    assert code(not_json, {}, elsewhere) == "1001"
    assert code(good) == "1000"


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("POST", "/", 404),
        ("POST", "/monitor.do", 404),
        ("POST", "/remotecontrol.do/", 404),
        ("POST", "/%ff%00", 404),
        ("GET", "/remotecontrol.do", 405),
        ("PUT", "/remotecontrol.do", 405),
        ("BREW", "/remotecontrol.do", 405),
        ("POST", "/remotecontrol.do?a=1", 200),
    ],
)
def test_another_path_or_verb_is_plain_http(
    rig: RemoteRig, verb: str, path: str, status: int
) -> None:
    """What is not a POST to the one path is answered by its HTTP status."""
    answer = rig.send(_envelope(rig), verb=verb, path=path).ended()
    assert answer.status == status
    assert (answer.headers["Allow"] == "POST") == (status == 405)
    assert rig.untouched() == (status != 200)


def test_a_long_body_is_413_and_a_slow_one_408(rig: RemoteRig) -> None:
    """A body over 1 MiB, and one that does not come, end their connections."""
    assert rig.send(b"x" * (1024 * 1024 + 1)).ended().status == 413
    slow = rig.send(b"", {"Content-Length": "100"})
    rig.clock.advance(10.1)
    assert slow.ended().status == 408
    assert rig.send(b" " * (1024 * 1024)).ended().code == "1002"


def _taken_apart(bodies: Iterable[bytes], *, signed: bool) -> None:
    """Send bodies that hold no request; each is answered with its code, and does nothing."""
    rig = RemoteRig(rate=0)
    for body in bodies:
        headers = signed_headers(body, AUTH) if signed else {"binfile-auth": AUTH}
        answer = rig.send(body, headers).ended()
        if len(body) > 1024 * 1024:
            assert answer.status == 413
        else:
            assert answer.code in ({"1002", "1006"} if signed else {"1004"}), body[:100]
    assert rig.untouched()
    rig.stop()


@pytest.mark.parametrize("signed", [True, False])
def test_nasty_bodies(signed: bool) -> None:
    """No body does anything, raises anything, or is answered by more than its code."""
    _taken_apart(NASTY.values(), signed=signed)


@given(body=likely_bytes, signed=st.booleans())
@checked
def test_whatever_a_body_holds(body: bytes, signed: bool) -> None:
    """Nor does one of random bytes."""
    _taken_apart([body], signed=signed)


@given(
    fields=json_with("cmd", "mode", "cabinetId", "setServer", "updateNow", "doorOpenTime", "onOff"),
    method=st.sampled_from(
        ["computerControl", "cabinetControl", "getCabinetImageVedio", "cabinetStatusUpdate"]
    ),
)
@checked
def test_whatever_a_control_holds(fields: Any, method: str) -> None:
    """Anything under a method's key is answered with a code that is no fault of ours."""
    rig = RemoteRig(rate=0)
    try:
        body = _envelope(rig, method=method, **{method: fields})
    except ValueError:
        return
    assert rig.send(body).ended().code in {"1000", "1002", "1007", "1009"}
    rig.stop()


# -- a fault of ours


def test_a_fault_is_1008_and_logged_once(logged_failures: list[Failure]) -> None:
    """A handler that fails answers 1008 without a word of why; the log has the trace, once."""
    rig = RemoteRig()
    rig.uplink.fail = ZeroDivisionError("secret of the house")
    for turn in range(3):
        rig.clock.advance(1)
        answer = rig.cabinet(setServer=f"platform.example/{turn}")
        assert answer.json == {"code": "1008", "msg": "未知系统异常"}
        assert b"secret" not in answer.body
    assert [each.type for each in logged_failures] == [ZeroDivisionError]
    rig.clock.advance(61)
    rig.cabinet(setServer="platform.example/9")
    assert len(logged_failures) == 2
    logged_failures.clear()


def test_a_disk_that_fails_is_1008(
    rig: RemoteRig, logged_failures: list[Failure], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an audit entry nothing is done."""
    monkeypatch.setattr(rig.bench.store, "begin_command", lambda _: fail(OSError("disk full")))
    assert rig.cabinet(cmd="2", unlockDoorId="1").code == "1008"
    assert rig.untouched()
    assert [each.type for each in logged_failures] == [OSError]
    logged_failures.clear()


def test_a_disk_that_fails_at_the_device(
    rig: RemoteRig, logged_failures: list[Failure], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the entry of a device cannot be written, nothing is done, and the same body is over."""
    store = rig.bench.store
    begin = store.begin_command

    def failing(entry: AuditEntry) -> Deferred[AuditEntry | None]:
        return begin(entry) if entry.target == "gantry" else fail(OSError("disk full"))

    monkeypatch.setattr(store, "begin_command", failing)
    body = rig.body(Method.CABINET_CONTROL, {"cmd": "2", "unlockDoorId": "1", "updateNow": "1"})
    assert rig.send(body).ended().code == "1008"
    monkeypatch.undo()
    assert rig.send(body).ended().code == "1008"
    assert rig.untouched()
    assert [each.type for each in logged_failures] == [OSError]
    logged_failures.clear()


def test_no_secret_is_shown(rig: RemoteRig) -> None:
    """The code is in no answer, no count and no audit entry."""
    rig.send(_envelope(rig), {"binfile-auth": AUTH + "x"}).ended()
    rig.cabinet(cmd="2", unlockDoorId="1")
    [entries] = fired(rig.bench.store.audit(10))
    assert len(entries) == 2
    assert AUTH not in repr(entries) + repr(rig.control.counts) + repr(rig.settings)


# -- replays


def test_a_body_is_done_once(rig: RemoteRig) -> None:
    """The same bytes again get the stored answer, are counted, and open no door."""
    body = rig.body(Method.CABINET_CONTROL, {"cmd": "2", "unlockDoorId": "1", "updateNow": "1"})
    first = rig.send(body).ended()
    assert first.code == "1000"
    for turn in range(3):
        rig.clock.advance(90)
        again = rig.send(body, host=f"192.0.2.{turn}").ended()
        assert again.body == first.body
    assert rig.cab.told == [("unlock-door", {"unlockDoorId": "1"})]
    assert len(rig.uplink.steered) == 1
    assert rig.control.counts["replayed"] == 3
    rig.clock.advance(31)
    assert rig.send(body).ended().code == "1003"


def test_a_body_is_done_once_over_a_restart(rig: RemoteRig) -> None:
    """The answer outlives the program."""
    body = rig.body(Method.CABINET_CONTROL, {"cmd": "2", "unlockDoorId": "1"})
    first = rig.send(body).ended()
    rig.restart()
    assert rig.send(body).ended().body == first.body
    assert len(rig.cab.told) == 1
    assert rig.control.counts["replayed"] == 1


def test_a_refusal_is_stored_too(rig: RemoteRig) -> None:
    """What could not be done then is not done later by the same body."""
    body = rig.body(Method.CABINET_CONTROL, {"cmd": "9", "testStartStop": "1"})
    rig.ups.why = "mains abnormal"
    first = rig.send(body).ended()
    assert first.code == "1007"
    rig.ups.why = ""
    assert rig.send(body).ended().body == first.body
    assert rig.untouched()


def test_what_is_refused_for_its_form_is_not_remembered(rig: RemoteRig) -> None:
    """A body that was 1003 may be done once the clock is right: nothing was done with it."""
    body = rig.body(Method.CABINET_CONTROL, {"cmd": "2", "unlockDoorId": "1"})
    rig.clock.wall_offset -= 1000
    assert rig.send(body).ended().code == "1003"
    rig.clock.wall_offset += 1000
    assert rig.send(body).ended().code == "1000"


def test_a_body_that_is_being_done(rig: RemoteRig) -> None:
    """The same bytes while the first are at work: nobody knows yet how it ends."""
    waiting: Deferred[CommandResult] = Deferred()
    rig.cab.answer = lambda: waiting
    body = rig.body(Method.CABINET_CONTROL, {"cmd": "2", "unlockDoorId": "1"})
    first = rig.send(body)
    again = rig.send(body).ended()
    assert again.json == {"code": "1007", "msg": "正在执行或结果未知"}
    assert not first.answered
    waiting.callback(DONE)
    assert first.ended().code == "1000"
    assert rig.send(body).ended().code == "1000"
    assert len(rig.cab.told) == 1


def test_a_command_outlives_its_client(rig: RemoteRig) -> None:
    """A client that leaves stops nothing; the outcome is kept for the next question."""
    waiting: Deferred[CommandResult] = Deferred()
    rig.cab.answer = lambda: waiting
    body = rig.body(Method.CABINET_CONTROL, {"cmd": "2", "unlockDoorId": "1", "updateNow": "1"})
    exchange = rig.send(body)
    exchange.hang_up()
    waiting.callback(DONE)
    assert rig.uplink.steered != []
    assert rig.control.counts["hung-up"] == 1
    assert rig.send(body).ended().code == "1000"
    assert len(rig.cab.told) == 1


def test_after_a_crash_nothing_is_repeated(rig: RemoteRig) -> None:
    """A body whose outcome was lost with the program is 1007, and done no more."""
    waiting: Deferred[CommandResult] = Deferred()
    rig.cab.answer = lambda: waiting
    body = rig.body(Method.CABINET_CONTROL, {"cmd": "2", "unlockDoorId": "1"})
    rig.send(body).hang_up()
    rig.restart()
    assert rig.send(body).ended().json == {"code": "1007", "msg": "正在执行或结果未知"}
    assert len(rig.cab.told) == 1
    waiting.callback(DONE)


def test_an_id_of_somebody_else_answers_nothing(rig: RemoteRig) -> None:
    """An entry of the audit that is no request of the platform is not taken for its answer."""
    body = rig.body(Method.CABINET_CONTROL, {"cmd": "2", "unlockDoorId": "1"})
    rig.send(body).ended()
    [entries] = fired(rig.bench.store.audit(10))
    assert {each.target for each in entries} == {"gantry", "cab1"}
    gantry = next(each for each in entries if each.target == "gantry")
    assert gantry.who == "remotecontrol 192.0.2.7"
    assert gantry.args == {"cmd": "2", "cabinetId": "1", "unlockDoorId": "1"}
    assert gantry.result == "done"
    assert digest(body) not in gantry.id


def test_a_query_may_be_repeated(rig: RemoteRig) -> None:
    """The result of a battery test may be asked for again and again; it is in no audit."""
    body = rig.body(Method.CABINET_CONTROL, {"cmd": "10"})
    assert rig.send(body).ended().code == "1000"
    assert rig.send(body).ended().code == "1000"
    assert rig.control.counts["replayed"] == 0
    assert fired(rig.bench.store.audit(10)) == [[]]
