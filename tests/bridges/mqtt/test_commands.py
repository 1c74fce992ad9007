"""Commands from a broker: through the door, once, and only when they are meant now."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail

from tests.bridges.mqtt.bench import BASE, MqttBench
from twisted_gantry.bridges.mqtt.commands import BURST, MOST_BYTES, MOST_RUNNING
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import StoreHung


@pytest.fixture
def bench() -> Any:
    """A bridge that takes commands, whose session has told everything."""
    made = MqttBench(commands=True, discovery="")
    made.online()
    yield made
    made.close()


def audit(bench: MqttBench) -> list[tuple[str, str, str, Any, str | None]]:
    found: list[Any] = []
    bench.store.audit(100).addCallback(found.extend)
    return [(e.who, e.target, e.command, e.args, e.result) for e in reversed(found)]


def test_a_command_goes_through_the_door(bench: MqttBench) -> None:
    """A message is a command; its outcome is answered, and the audit says who."""
    assert bench.session.filters == [f"{BASE}/+/set/+"]
    bench.tell("ups1", "BZOFF")
    assert bench.ups.told == [("BZOFF", {})]
    [(topic, answer)] = bench.answers()
    assert topic == "ups1/set/BZOFF/answer"
    assert answer == {"id": "command-1", "result": "done", "detail": "it did", "value": 1.5}
    assert audit(bench) == [("mqtt client-7", "ups1", "BZOFF", {}, "done")]


@pytest.mark.parametrize(
    "payload", [{"cmd": "QI"}, {"args": {"cmd": "QI"}}, {"args": {"cmd": "QI"}, "id": "q-1"}]
)
def test_arguments(bench: MqttBench, payload: Any) -> None:
    """Arguments are the members of the payload, or those of its `args`."""
    bench.tell("ups1", "query", payload)
    assert bench.ups.told == [("query", {"cmd": "QI"})]


def test_a_command_that_asks_needs_confirm(bench: MqttBench) -> None:
    """Nothing else than `"confirm": true` confirms."""
    for payload in (b"", b"{}", b'{"confirm":false}', b'{"confirm":"yes"}', b'{"confirm":1}'):
        bench.tell("ups1", "T", payload)
    assert bench.ups.told == []
    assert {answer["result"] for _, answer in bench.answers()} == {"refused"}
    bench.tell("ups1", "T", {"confirm": True})
    assert bench.ups.told == [("T", {})]


def test_a_retained_command_is_ignored(bench: MqttBench) -> None:
    """A retained command would be done again at each connection."""
    bench.tell("ups1", "BZOFF", retained=True)
    assert (bench.ups.told, bench.answers(), audit(bench)) == ([], [], [])
    assert bench.bridge.counts["retained-commands"] == 1


def test_a_message_that_the_broker_repeats_is_done_once(bench: MqttBench) -> None:
    """DUP of a message that was taken is no second command; one that was lost is done."""
    bench.tell("ups1", "BZOFF", {"n": 1}, again=True)
    bench.tell("ups1", "BZOFF", b"")
    bench.tell("ups1", "BZOFF", b"", again=True)
    bench.tell("ups1", "BZOFF", b"", again=True)
    assert bench.ups.told == [("BZOFF", {})]
    assert bench.bridge.counts["repeated-commands"] == 2
    bench.tell("ups1", "BZOFF", b"")
    assert len(bench.ups.told) == 2


def test_an_id_makes_a_command_one(bench: MqttBench) -> None:
    """The same id again is the same command: it is answered, and not done."""
    for _ in range(2):
        bench.tell("ups1", "BZOFF", {"id": "a-1"})
    assert len(bench.ups.told) == 1
    assert [answer["id"] for _, answer in bench.answers()] == ["a-1", "a-1"]


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"PRESS", "not understood"),
        (b"[]", "the payload is a JSON object"),
        (b'{"args": 1}', "args is an object"),
        (b'{"id": "no blanks"}', "not understood"),
        (b'{"expires": "soon"}', "not understood"),
        (b"\xff\xfe", "not understood"),
        (b"[" * 4000, "not understood"),
        (b'{"args":{"a":' + b"[" * 20 + b"]" * 20 + b"}}", "deeper than 8"),
        (b" " * (MOST_BYTES + 1), "at most"),
    ],
)
def test_what_is_no_command(bench: MqttBench, payload: bytes, why: str) -> None:
    """A payload that cannot be read is answered with the reason, and nothing is done."""
    bench.tell("ups1", "BZOFF", payload)
    [(_, answer)] = bench.answers()
    assert answer["result"] == "refused"
    assert why in answer["detail"]
    assert (bench.ups.told, audit(bench)) == ([], [])


def test_commands_are_rated(bench: MqttBench) -> None:
    """A flood is refused and counted; after a while commands are taken again."""
    for number in range(100):
        bench.tell("ups1", "BZOFF", {"id": f"n{number}"})
    # Each took some hundredths of a second.
    assert BURST <= len(bench.ups.told) <= BURST + 2 * bench.clock.seconds()
    assert bench.bridge.counts["dropped"] == 100 - len(bench.ups.told)
    bench.passes(5)
    done = len(bench.ups.told)
    bench.tell("ups1", "BZOFF")
    assert len(bench.ups.told) == done + 1


def test_commands_that_wait_are_bounded(bench: MqttBench) -> None:
    """A device that does not answer holds so many commands, the rest is refused."""
    waiting: list[Deferred[CommandResult]] = []

    def wait() -> Deferred[CommandResult]:
        waiting.append(Deferred())
        return waiting[-1]

    bench.ups.answer = wait
    for _ in range(MOST_RUNNING + 3):
        bench.tell("ups1", "BZOFF")
    fill = bench.bridge.queues["commands"]
    assert fill.length == fill.bound == MOST_RUNNING
    assert len(bench.answers()) == 3
    bench.ups.answer = lambda: wait()
    for _ in range(MOST_RUNNING):
        waiting[-1].callback(CommandResult(Outcome.DONE))
        bench.settle()
    assert bench.bridge.queues["commands"].length == 0


def test_without_commands_nothing_is_subscribed_nor_done() -> None:
    """`commands = false` is the default: a message is not even looked at."""
    bench = MqttBench(discovery="")
    bench.online()
    assert bench.session.filters == []
    bench.tell("ups1", "BZOFF")
    assert (bench.ups.told, bench.answers()) == ([], [])
    bench.close()


def test_other_topics_are_no_commands(bench: MqttBench) -> None:
    """Only four levels below the gantry's own, the third `set`, make a command."""
    for target in ("", "ups1/x"):
        bench.tell(target, "BZOFF")
    bench.tell("ups1", "BZOFF/answer", {"result": "done"})
    assert (bench.ups.told, audit(bench)) == ([], [])


def test_a_store_that_fails_refuses(bench: MqttBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an audit entry nothing is done, and the answer says so."""
    hung = StoreHung("the disk hangs", "磁盘无响应")
    monkeypatch.setattr(bench.store, "begin_command", lambda _: fail(hung))
    bench.tell("ups1", "BZOFF")
    [(_, answer)] = bench.answers()
    assert (answer["result"], bench.ups.told) == ("refused", [])
