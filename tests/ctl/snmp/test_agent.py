"""The program behind `pass_persist`: its lines, and that it never keeps `snmpd` waiting."""

import io
import threading
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from tests.ctl.snmp.site import NOW, snapshot
from twisted_gantry.ctl.client import ApiError
from twisted_gantry.ctl.main import cli
from twisted_gantry.ctl.snmp import agent
from twisted_gantry.ctl.snmp.agent import Looking, built, serve
from twisted_gantry.ctl.snmp.snapshot import Snapshot
from twisted_gantry.ctl.snmp.tree import SnmpTree

UPS = ".1.3.6.1.2.1.33.1.1"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look is late, and none is old, because this computer is busy."""
    monkeypatch.setattr(agent, "WAIT_S", 60.0)
    monkeypatch.setattr(agent, "FRESH_S", 60.0)


class Known:
    """A tree that does not change."""

    def current(self) -> SnmpTree:
        return built(snapshot(), "", (), NOW, NOW)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("PING\n", "PONG\n"),
        (f"get\n{UPS}.1.0\n", f"{UPS}.1.0\nstring\nSunshine\n"),
        (f"get\n{UPS}.1\n", "NONE\n"),
        ("get\nups\n", "NONE\n"),
        (f"getnext\n{UPS}.1.0\n", f"{UPS}.2.0\nstring\n?? C10KS\n"),
        ("getnext\n.1.3.6.1.2.1.33\n", f"{UPS}.1.0\nstring\nSunshine\n"),
        ("getnext\n.1.3.6.1.2.1.33.1.9.9\n", "NONE\n"),
        (f"set\n{UPS}.5.0\nstring x\nPING\n", "not-writable\nPONG\n"),
        ("dance\nPING\n", "NONE\nPONG\n"),
        ("\nPING\n", ""),
    ],
)
def test_each_request_has_its_answer(asked: str, answer: str) -> None:
    """Requests and answers are those of snmpd.conf(5)."""
    out = io.StringIO()
    serve(io.StringIO(asked), out, Known())
    assert out.getvalue() == answer


def fails() -> Snapshot:
    raise ApiError("no-answer")


def reachable(tree: SnmpTree) -> str:
    value = tree.get((1, 3, 6, 1, 4, 1, 8072, 9999, 9999, 3699, 1, 1, 1, 0))
    assert value is not None
    return value.text


def test_a_look_serves_many_requests() -> None:
    """A walk asks the gantry once; the first request waits for the first look."""
    looks: list[int] = []

    def look() -> Snapshot:
        looks.append(1)
        return snapshot()

    looking = Looking(look, "", lambda: NOW, NOW)
    assert {reachable(looking.current()) for _ in range(100)} == {"1"}
    assert len(looks) == 1


def test_a_gantry_that_hangs_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request waits for a moment; those after it get what is known."""
    monkeypatch.setattr(agent, "WAIT_S", 0.05)
    free = threading.Event()

    def look() -> Snapshot:
        free.wait(10)
        return snapshot()

    looking = Looking(look, "", lambda: NOW, NOW)
    waits: list[float] = []
    condition = looking._looked
    wait_for = condition.wait_for

    def counted(predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        waits.append(timeout or 0)
        return wait_for(predicate, timeout)

    monkeypatch.setattr(condition, "wait_for", counted)
    assert {reachable(looking.current()) for _ in range(100)} == {"2"}
    assert waits == [0.05]
    free.set()


def test_what_is_old_is_not_told_as_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manager that asks each five minutes does not get the state of five minutes ago from a
    gantry that hangs.
    """
    free = threading.Event()
    free.set()

    def look() -> Snapshot:
        free.wait(60)
        return snapshot()

    looking = Looking(look, "", lambda: NOW, NOW)
    assert reachable(looking.current()) == "1"
    free.clear()
    for name, seconds in (("FRESH_S", 0.0), ("GONE_S", 0.0), ("WAIT_S", 0.05)):
        monkeypatch.setattr(agent, name, seconds)
    assert reachable(looking.current()) == "2"
    monkeypatch.setattr(agent, "WAIT_S", 60.0)
    free.set()
    assert reachable(looking.current()) == "1"


def test_a_gantry_without_an_answer_is_gone_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was last known stands for some seconds, then the gantry counts as gone."""
    monkeypatch.setattr(agent, "FRESH_S", 0.0)
    answers: list[Callable[[], Snapshot]] = [snapshot]
    looking = Looking(lambda: answers[0](), "", lambda: NOW, NOW)
    assert reachable(looking.current()) == "1"
    answers[0] = fails
    assert reachable(looking.current()) == "1"
    monkeypatch.setattr(agent, "GONE_S", 0.0)
    assert reachable(looking.current()) == "2"
    answers[0] = snapshot
    assert reachable(looking.current()) == "1"


def test_a_mistake_of_ours_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a look fails with is on standard error, and the next one is tried."""
    monkeypatch.setattr(agent, "FRESH_S", 0.0)
    answers: list[Callable[[], Snapshot]] = [lambda: 1 / 0]  # type: ignore[list-item, return-value]
    looking = Looking(lambda: answers[0](), "", lambda: NOW, NOW)
    assert reachable(looking.current()) == "2"
    assert "ZeroDivisionError" in capsys.readouterr().err
    answers[0] = snapshot
    assert reachable(looking.current()) == "1"


def test_the_command_answers_without_a_gantry() -> None:
    """`snmpd` gets an answer although nothing listens at the URL."""
    ask = "PING\nget\n.1.3.6.1.4.1.8072.9999.9999.3699.1.1.1.0\n"
    done = CliRunner().invoke(cli, ["--url", "http://127.0.0.1:1", "snmp-agent"], input=ask)
    assert done.output == "PONG\n.1.3.6.1.4.1.8072.9999.9999.3699.1.1.1.0\ninteger\n2\n"
    mib = CliRunner().invoke(cli, ["snmp-agent", "--mib"])
    assert mib.output.startswith("TWISTED-GANTRY-MIB DEFINITIONS ::= BEGIN")
    wrong = CliRunner().invoke(cli, ["--lang", "en", "snmp-agent", "--", "-v", "2c"])
    assert wrong.exit_code != 0
