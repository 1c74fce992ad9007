"""The NUT server as its clients meet it: requests, users, commands, and bounds."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred

from tests.authority import self_signed
from tests.bridges.nut.rig import ON_BATTERY, USERS, FakeUps, NutBench
from tests.support import fired
from twisted_gantry import __version__
from twisted_gantry.access.passwords import hash_token
from twisted_gantry.bridges.nut.bridge import ANSWERED_WITHIN, CONNECTIONS, PER_ADDRESS
from twisted_gantry.bridges.nut.connection import A_TURN, IDLE_S, MAX_PENDING
from twisted_gantry.bridges.nut.settings import NutUser
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.net.pem import Pem
from twisted_gantry.wire.secret import Secret


@pytest.fixture
def bench() -> Iterator[NutBench]:
    made = NutBench()
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("LIST UPS", ["BEGIN LIST UPS", 'UPS ups1 "Sunshine C10KS"', "END LIST UPS"]),
        ("list ups", ["BEGIN LIST UPS", 'UPS ups1 "Sunshine C10KS"', "END LIST UPS"]),
        ("LIST RW ups1", ["BEGIN LIST RW ups1", "END LIST RW ups1"]),
        ("LIST CLIENT ups1", ["BEGIN LIST CLIENT ups1", "END LIST CLIENT ups1"]),
        (
            "LIST ENUM ups1 ups.status",
            ["BEGIN LIST ENUM ups1 ups.status", "END LIST ENUM ups1 ups.status"],
        ),
        (
            "LIST RANGE ups1 ups.load",
            ["BEGIN LIST RANGE ups1 ups.load", "END LIST RANGE ups1 ups.load"],
        ),
        ("LIST ENUM ups1 nothing", ["ERR VAR-NOT-SUPPORTED"]),
        ("LIST VAR ups9", ["ERR UNKNOWN-UPS"]),
        ("LIST VAR", ["ERR INVALID-ARGUMENT"]),
        ("LIST", ["ERR INVALID-ARGUMENT"]),
        ("LIST LOGINS ups1", ["ERR INVALID-ARGUMENT"]),
        ("GET VAR ups1 input.voltage", ['VAR ups1 input.voltage "219.9"']),
        ("GET VAR ups1 input.L1-N.voltage", ['VAR ups1 input.L1-N.voltage "219.9"']),
        ("GET VAR ups1 ups.load", ['VAR ups1 ups.load "30"']),
        ("GET VAR ups1 battery.runtime", ['VAR ups1 battery.runtime "3600"']),
        ("GET VAR ups1 output.voltage", ["ERR VAR-NOT-SUPPORTED"]),
        ("GET VAR ups1 server.version", [f'VAR ups1 server.version "{__version__}"']),
        ("GET VAR ups1 server.secret", ["ERR VAR-NOT-SUPPORTED"]),
        ("GET VAR ups1", ["ERR INVALID-ARGUMENT"]),
        ("GET TYPE ups1 ups.load", ["TYPE ups1 ups.load NUMBER"]),
        ("GET TYPE ups1 ups.status", ["TYPE ups1 ups.status STRING:64"]),
        ("GET DESC ups1 input.phases", ['DESC ups1 input.phases "Number of input phases"']),
        ("GET DESC ups1 odd", ['DESC ups1 odd "Description unavailable"']),
        ("GET CMDDESC ups1 load.off", ['CMDDESC ups1 load.off "Turn off the load immediately"']),
        ("GET UPSDESC ups1", ['UPSDESC ups1 "Sunshine C10KS"']),
        ("GET NUMLOGINS ups1", ["NUMLOGINS ups1 0"]),
        ("GET TRACKING", ["OFF"]),
        ("GET TRACKING 1", ["ERR FEATURE-NOT-CONFIGURED"]),
        ("NETVER", ["1.3"]),
        ("PROTVER", ["1.3"]),
        ("STARTTLS", ["ERR FEATURE-NOT-CONFIGURED"]),
        ("SHUTDOWN now", ["ERR UNKNOWN-COMMAND"]),
        ('GET VAR "ups1', ["ERR INVALID-ARGUMENT"]),
        ("LOGIN ups1", ["ERR USERNAME-REQUIRED"]),
        ("FSD ups1", ["ERR USERNAME-REQUIRED"]),
        ("INSTCMD ups1 load.off", ["ERR USERNAME-REQUIRED"]),
        ("SET VAR ups1 ups.id x", ["ERR USERNAME-REQUIRED"]),
        ("LOGOUT", ["OK Goodbye"]),
        ("", []),
    ],
)
def test_each_request_has_its_answer(bench: NutBench, request_: str, answer: list[str]) -> None:
    """Reads need no log-in; errors are those of the RFC."""
    client = bench.client()
    assert client.asks(request_) == answer
    assert client.transport.disconnecting == (request_ == "LOGOUT")


def test_help_and_version_are_for_people(bench: NutBench) -> None:
    """Both are one line."""
    told = bench.client().asks("HELP", "VER")
    assert "STARTTLS" in told[0]
    assert __version__ in told[1]


def test_several_upses_have_each_their_values(bench: NutBench) -> None:
    """Every UPS is listed, and a request is about the one that it names."""
    other = FakeUps("ups2", bench)
    other.reads(ON_BATTERY)
    client = bench.client()
    assert client.asks("LIST UPS")[1:-1] == ['UPS ups1 "Sunshine C10KS"', 'UPS ups2 "ups-card"']
    asked = [f"GET VAR {ups} ups.status" for ups in ("ups1", "ups2")]
    assert client.asks(*asked) == [
        'VAR ups1 ups.status "OL"',
        'VAR ups2 ups.status "OB DISCHRG"',
    ]
    other.fails()
    bench.clock.advance(60)
    assert (
        client.asks("LIST VAR ups2", "LIST CMD ups2", "GET NUMLOGINS ups2")
        == ["ERR DATA-STALE"] * 3
    )
    assert client.asks("GET UPSDESC ups2") == ['UPSDESC ups2 "ups-card"']
    assert client.asks("LIST VAR ups1")[0] == "BEGIN LIST VAR ups1"


def test_a_computer_logs_in(bench: NutBench) -> None:
    """A log-in counts until the computer leaves; each user may do what its `upsmon` says."""
    first, second = bench.client("192.0.2.1"), bench.client("192.0.2.2")
    first.logs_in("toll1", "one")
    second.logs_in("toll2", "two")
    assert first.asks("LOGIN ups1", "LOGIN ups1", "USERNAME x", "PASSWORD y") == [
        *("OK", "ERR ALREADY-LOGGED-IN", "ERR ALREADY-SET-USERNAME", "ERR ALREADY-SET-PASSWORD")
    ]
    assert first.asks("PRIMARY ups1", "MASTER ups1", "PRIMARY ups9") == [
        *("OK PRIMARY-GRANTED", "OK MASTER-GRANTED", "ERR UNKNOWN-UPS")
    ]
    assert second.asks("LOGIN ups1", "PRIMARY ups1", "FSD ups1") == [
        *("OK", "ERR ACCESS-DENIED", "ERR ACCESS-DENIED")
    ]
    assert second.asks("GET NUMLOGINS ups1", "LIST CLIENT ups1") == [
        *("NUMLOGINS ups1 2", "BEGIN LIST CLIENT ups1"),
        *("CLIENT ups1 192.0.2.1", "CLIENT ups1 192.0.2.2", "END LIST CLIENT ups1"),
    ]
    first.leave()
    assert second.asks("GET NUMLOGINS ups1") == ["NUMLOGINS ups1 1"]


def test_the_words_of_the_rfc_are_those_of_upsd(bench: NutBench) -> None:
    """RFC 9271 renamed the log-in: both words do the same."""
    client = bench.client().logs_in("toll2", "two")
    assert client.asks("ATTACH ups1", "ATTACH ups1", "GET NUMATTACH ups1", "DETACH") == [
        *("OK", "ERR ALREADY-ATTACHED", "NUMATTACH ups1 1", "OK Goodbye")
    ]
    assert client.transport.disconnecting


def test_a_primary_forces_the_shutdown(bench: NutBench) -> None:
    """FSD of a primary is in the status that every computer reads."""
    primary = bench.client().logs_in("toll1", "one")
    assert primary.asks("FSD ups9", "FSD ups1") == ["ERR UNKNOWN-UPS", "OK FSD-SET"]
    assert bench.status() == "FSD OL"
    assert 'VAR ups1 ups.status "FSD OL"' in bench.client().asks("LIST VAR ups1")


def test_a_user_without_upsmon_cannot_log_in(bench: NutBench) -> None:
    """A user for commands is no computer on the UPS."""
    client = bench.client().logs_in("boss", "three")
    assert client.asks("LOGIN ups1") == ["ERR ACCESS-DENIED"]


@pytest.mark.parametrize("pair", [("toll1", "wrong"), ("nobody", "one"), ("toll2", "one")])
def test_a_wrong_password_waits(bench: NutBench, pair: tuple[str, str]) -> None:
    """A wrong name or password is refused alike, and the next guess waits longer each time."""
    client = bench.client().logs_in(*pair)
    assert client.asks("LOGIN ups1") == ["ERR ACCESS-DENIED"]
    assert client.asks("LOGIN ups1") == []  # it waits
    bench.clock.advance(0.1)
    assert client.heard() == ["ERR ACCESS-DENIED"]
    assert bench.bridge.counts["wrong-passwords"] == 2
    other = bench.client("192.0.2.7").logs_in("toll1", "one")
    assert other.asks("LOGIN ups1") == ["OK"]


def test_a_token_goes_with_its_name_alone() -> None:
    """A password that is the hash of a token gives nobody the rights of another."""
    token = "4f" * 32
    lane = NutUser(name="lane", password=Secret(hash_token(token)), upsmon="secondary")
    bench = NutBench(user=(*USERS, lane))
    for name, answer in (
        ("lane", "OK"),
        ("toll1", "ERR ACCESS-DENIED"),
        ("x", "ERR ACCESS-DENIED"),
    ):
        client = bench.client(f"192.0.2.{len(name)}").logs_in(name, token)
        assert client.asks("LOGIN ups1") == [answer]
    bench.stop()


def test_a_command_is_done(bench: NutBench) -> None:
    """A user does what `instcmds` names; `all` leaves out what needs a confirmation."""
    toll, boss = bench.client().logs_in("toll1", "one"), bench.client().logs_in("boss", "three")
    assert toll.asks("INSTCMD ups1 beeper.mute", "INSTCMD ups1 load.off") == [
        *("OK", "ERR ACCESS-DENIED")
    ]
    assert boss.asks("INSTCMD ups1 beeper.mute", "INSTCMD ups1 load.off") == [
        *("ERR ACCESS-DENIED", "OK")
    ]
    assert toll.asks("INSTCMD ups1 SOFF", "INSTCMD ups1", "INSTCMD ups9 beeper.mute") == [
        *("ERR CMD-NOT-SUPPORTED", "ERR INVALID-ARGUMENT", "ERR UNKNOWN-UPS")
    ]
    assert toll.asks("INSTCMD ups1 test.battery.start 600") == ["ERR INVALID-ARGUMENT"]
    assert bench.ups.told == ["BZOFF", "SOFF"]
    [audit] = fired(bench.store.audit(10))
    assert [(each.who, each.command, each.result) for each in audit] == [
        ("nut boss 192.0.2.1", "SOFF", "done"),
        ("nut toll1 192.0.2.1", "BZOFF", "done"),
    ]


def test_commands_are_those_of_the_device(bench: NutBench) -> None:
    """A command is listed by NUT's name, if the device has it and has not locked it."""
    names = ["beeper.disable", "beeper.enable", "beeper.mute", "load.off", "load.on"]
    rows = [f"CMD ups1 {name}" for name in [*names, "test.battery.start"]]
    assert bench.client().asks("LIST CMD ups1") == [
        *("BEGIN LIST CMD ups1", *rows, "END LIST CMD ups1")
    ]
    kept = bench.ups.commands
    locked: Any = {**kept, "SOFF": type(kept["SOFF"])({}, "off", "关", locked="is locked")}
    bench.ups.commands = locked
    assert "CMD ups1 load.off" not in bench.client().asks("LIST CMD ups1")


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.REFUSED, Outcome.TIMEOUT])
def test_a_command_that_fails_is_told(bench: NutBench, outcome: Outcome) -> None:
    """Whatever the door answers but `done` is INSTCMD-FAILED."""
    bench.ups.answer = lambda: _done(outcome)
    client = bench.client().logs_in("toll1", "one")
    assert client.asks("INSTCMD ups1 beeper.mute") == ["ERR INSTCMD-FAILED"]


def _done(outcome: Outcome) -> Deferred[CommandResult]:
    done: Deferred[CommandResult] = Deferred()
    done.callback(CommandResult(outcome))
    return done


def test_a_slow_command_is_answered_before_the_client_gives_up(bench: NutBench) -> None:
    """The next request waits for the answer; a late outcome is in the audit alone."""
    slow: Deferred[CommandResult] = Deferred()
    bench.ups.answer = lambda: slow
    client = bench.client().logs_in("toll1", "one")
    assert client.asks("INSTCMD ups1 beeper.mute", "NETVER") == []
    bench.clock.advance(ANSWERED_WITHIN)
    assert client.heard() == ["OK", "1.3"]
    slow.callback(CommandResult(Outcome.FAILED))
    assert client.heard() == ["OK", "1.3"]


def test_a_tracked_command_is_asked_for_later(bench: NutBench) -> None:
    """With TRACKING the answer has an id, by which the outcome is asked for."""
    outcomes: list[Deferred[CommandResult]] = [Deferred(), Deferred()]
    waiting = iter(outcomes)
    bench.ups.answer = lambda: next(waiting)
    client = bench.client().logs_in("toll1", "one")
    assert client.asks("SET TRACKING perhaps", "SET TRACKING on", "GET TRACKING") == [
        *("ERR INVALID-ARGUMENT", "OK", "ON")
    ]
    [told] = client.asks("INSTCMD ups1 beeper.mute")
    id_ = told.removeprefix("OK TRACKING ")
    assert client.asks(f"GET TRACKING {id_}", "GET TRACKING x") == ["PENDING", "ERR UNKNOWN"]
    outcomes[0].callback(CommandResult(Outcome.DONE))
    assert client.asks(f"GET TRACKING {id_}") == ["SUCCESS"]
    [told] = client.asks("INSTCMD ups1 beeper.mute")
    outcomes[1].callback(CommandResult(Outcome.FAILED))
    id_ = told.removeprefix("OK TRACKING ")
    assert client.asks(f"GET TRACKING {id_}") == ["ERR FAILED"]


def test_nothing_can_be_set(bench: NutBench) -> None:
    """A variable that is there is read-only."""
    client = bench.client().logs_in("toll1", "one")
    assert client.asks("SET VAR ups1 ups.load 3", "SET VAR ups1 ups.id 3", "SET VAR ups1") == [
        *("ERR READONLY", "ERR VAR-NOT-SUPPORTED", "ERR INVALID-ARGUMENT")
    ]


# -- bounds


def test_a_long_line_ends_the_session(bench: NutBench) -> None:
    """A line over 512 bytes is answered once, whether or not it ends."""
    for line in (b"A" * 513 + b"\n", b"A" * 600):
        client = bench.client()
        client.sends(line)
        assert client.heard() == ["ERR TOO-LONG"]
        assert client.transport.disconnecting
        client.sends(b"VER\n")
        assert client.heard() == ["ERR TOO-LONG"]
        client.leave()


def test_a_silent_client_is_dropped(bench: NutBench) -> None:
    """Each request begins the time anew."""
    client = bench.client()
    bench.clock.advance(IDLE_S - 1)
    client.asks("NETVER")
    bench.clock.advance(IDLE_S - 1)
    assert not client.aborted
    bench.clock.advance(1)
    assert client.aborted


def test_sessions_are_bounded(bench: NutBench) -> None:
    """One address has so many; a computer that logged in keeps its place against strangers."""
    computer = bench.client("192.0.2.200").logs_in("toll1", "one")
    computer.asks("LOGIN ups1")
    clients = [bench.client("192.0.2.1") for _ in range(PER_ADDRESS + 4)]
    assert [client.aborted for client in clients] == [True] * 4 + [False] * PER_ADDRESS
    for number in range(CONNECTIONS):
        bench.factory.buildProtocol(IPv4Address("TCP", f"198.51.100.{number}", 1))
    assert len(bench.factory.open) <= CONNECTIONS + 4
    assert computer.asks("GET NUMLOGINS ups1") == ["NUMLOGINS ups1 1"]


def test_a_client_that_does_not_read_is_answered_no_more(bench: NutBench) -> None:
    """While its answers wait, its requests wait; too many end the session."""
    client = bench.client()
    client.protocol.pauseProducing()
    assert client.asks("NETVER", "NETVER") == []
    client.protocol.resumeProducing()
    assert client.heard() == ["1.3", "1.3"]
    client.protocol.pauseProducing()
    for _ in range(MAX_PENDING // 4096 + 1):
        client.sends(b"NETVER\n" * 585)
    assert client.aborted


@pytest.mark.parametrize("first", ["begins to read", "is answered"])
def test_requests_that_waited_are_answered_in_turns(bench: NutBench, first: str) -> None:
    """However many came meanwhile: other peers have their turns between them."""
    client = bench.client()
    waiting: Deferred[CommandResult] = Deferred()
    if first == "is answered":
        bench.ups.answer = lambda: waiting
        client.logs_in("boss", "three").sends(b"INSTCMD ups1 load.off\n")
    else:
        client.protocol.pauseProducing()
    assert client.asks(*["NETVER"] * 2 * A_TURN) == []
    if first == "is answered":
        waiting.callback(CommandResult(Outcome.DONE))
        assert client.heard() == ["OK", *["1.3"] * A_TURN]
        client.transport.clear()
    else:
        client.protocol.resumeProducing()
        assert client.heard() == ["1.3"] * A_TURN
        client.transport.clear()
    bench.clock.advance(0)
    assert client.heard() == ["1.3"] * A_TURN
    bench.clock.advance(0)
    assert client.asks("NETVER") == ["1.3"]


def test_blank_lines_are_paid_for(bench: NutBench) -> None:
    """A stranger that sends lines without an end is cut, also where none has an answer."""
    client = bench.client()
    client.protocol._slot._group.work._left = 0.0
    client.sends(b"\n" * A_TURN)
    assert client.aborted


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.binary(max_size=80), st.sampled_from([b"\n", b"LIST VAR ups1\n"]))))
def test_no_bytes_break_the_server(bench: NutBench, chunks: list[bytes]) -> None:
    """Whatever a peer sends, in whatever pieces, is answered or closed, and others are served."""
    client = bench.client()
    for chunk in chunks:
        if not client.aborted:
            client.sends(chunk)
    if not client.aborted:
        client.leave()
    assert bench.status() == "OL"


def test_a_fault_of_ours_is_logged_and_closes(
    bench: NutBench, monkeypatch: pytest.MonkeyPatch, logged_failures: Any
) -> None:
    """A client is not left waiting for an answer that does not come."""
    client = bench.client()
    monkeypatch.setattr(type(bench.bridge.upses), "all", lambda self: 1 / 0)
    client.asks("LIST UPS")
    assert client.aborted
    assert [type(failure.value) for failure in logged_failures] == [ZeroDivisionError]
    logged_failures.clear()


def test_tls_begins_on_request(tmp_path: Any) -> None:
    """STARTTLS is granted once; clear text behind the request ends the session."""
    certificate, key = self_signed("IP:127.0.0.1").write(tmp_path, "nut")
    bench = NutBench(certificate=Pem.read(certificate), key=Pem.read(key))
    client = bench.client()
    begun: list[object] = []
    transport: Any = client.transport
    transport.startTLS = begun.append
    assert client.asks("STARTTLS") == ["OK STARTTLS"]
    assert len(begun) == 1
    assert client.asks("STARTTLS", "NETVER") == ["ERR TLS-ALREADY-ENABLED", "1.3"]
    other = bench.client()
    other.transport.startTLS = begun.append  # type: ignore[attr-defined]
    other.sends(b"STARTTLS\nUSERNAME toll1\n")
    assert other.aborted
    assert len(begun) == 1
    bench.stop()
