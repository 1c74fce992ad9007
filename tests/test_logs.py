"""The log: one line per event, a repeated line once, and no value that breaks a line."""

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure
from twisted.python.log import LogPublisher as OldPublisher
from twisted.scripts._twistd_unix import ServerOptions
from zope.interface import implementer

from tests.daemon.process import TWISTD
from twisted_gantry import logs
from twisted_gantry.core.status import Status
from twisted_gantry.logs import Levels, Repeats, choose_log, human_line, json_line, observer
from twisted_gantry.wire.secret import Secret


class Log:
    """A logger that writes into a string."""

    def __init__(self, line: Any = human_line) -> None:
        self.clock, self.file, self.levels = Clock(), io.StringIO(), Levels()
        self.publisher = LogPublisher(observer(self.file, line, self.clock.seconds, self.levels))
        self.logger = self.named("twisted_gantry.test")

    def named(self, namespace: str) -> Logger:
        return Logger(namespace=namespace, observer=self.publisher)

    @property
    def lines(self) -> list[str]:
        """The lines, without time and namespace."""
        return [line.partition("] ")[2] for line in self.file.getvalue().splitlines()]


def collector() -> tuple[list[LogEvent], ILogObserver]:
    """Return a list, and an observer that appends to it."""
    seen: list[LogEvent] = []

    @implementer(ILogObserver)
    def watch(event: LogEvent) -> None:
        seen.append(event)

    return seen, watch


def test_a_line_that_repeats_is_counted() -> None:
    """Within ten minutes the same line is shown once; its repeats are counted."""
    log = Log()
    for _ in range(5):
        log.logger.warn("{name} is offline: {why}", name="ups1", why="no reply")
        log.clock.advance(10)
    log.logger.warn("{name} is offline: {why}", name="ups2", why="no reply")
    assert log.lines == ["ups1 is offline: no reply", "ups2 is offline: no reply"]
    log.clock.advance(600)
    log.logger.warn("{name} is offline: {why}", name="ups1", why="no reply")
    assert log.lines[2:] == [
        "repeated 4 times: ups1 is offline: no reply",
        "ups1 is offline: no reply",
    ]


def test_a_dead_device_for_a_day() -> None:
    """A line every two seconds for a day gives under 300 lines, and every repeat is counted."""
    log = Log()
    for _ in range(43_200):
        log.logger.warn("ups1: no reply")
        log.clock.advance(2)
    log.clock.advance(600)
    log.logger.info("the end")
    assert len(log.lines) < 300
    repeated = sum(int(line.split()[1]) for line in log.lines if line.startswith("repeated"))
    assert repeated + log.lines.count("ups1: no reply") == 43_200


def test_what_differs_is_shown() -> None:
    """An event with another level, namespace, text or failure is another line."""
    log = Log(json_line)
    other = log.named("twisted_gantry.other")
    log.logger.info("x")
    log.logger.warn("x")
    other.info("x")
    log.logger.info("{x}", x="x")
    for message in ("a", "b", "a"):
        log.logger.failure("x", Failure(ValueError(message)))
    assert len(log.file.getvalue().splitlines()) == 6


def test_memory_is_bounded() -> None:
    """At most `most` lines are remembered; the count of a forgotten one is shown."""
    seen, watch = collector()
    repeats = Repeats(watch, Clock().seconds, most=10)
    for n in range(100):
        for _ in range(2):
            repeats({"log_format": "{n}", "n": n, "log_namespace": "x", "log_level": LogLevel.info})
    assert len(seen) == 100 + 90
    assert seen[-2]["times"] == 1


def test_transitions_are_logged_once() -> None:
    """A flapping device is logged once per transition; repeats are counted."""
    seen, watch = collector()
    publisher = LogPublisher(Repeats(watch, Clock().seconds))
    log = Logger(namespace="twisted_gantry.status", observer=publisher)
    status = Status("ups1", lambda: 0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("twisted_gantry.core.status._log", log)
        for _ in range(3):
            status.offline("no reply")
            status.offline("no reply")
            status.online()
    assert len(seen) == 2


def test_levels() -> None:
    """A namespace includes those below it; `info` of the quiet libraries is not shown."""
    log = Log()
    client = log.named("twisted.application._client_service._Core")
    client.info("Scheduling retry")
    client.warn("odd")
    log.named("twisted_gantry.devices.upscard.driver").debug("a frame")
    assert log.lines == ["odd"]
    log.levels.set({"twisted_gantry.devices": "debug", "": "error", "twisted.application": "info"})
    log.named("twisted_gantry.devices.upscard.driver").debug("a frame")
    log.named("twisted_gantry.uplinks.etc.uplink").warn("not now")
    log.named("twisted_gantry.uplinks.etc.uplink").error("this")
    assert log.lines == ["odd", "a frame", "this"]


def test_a_json_line() -> None:
    """A line has time, level, namespace, message and fields; a failure adds its traceback."""
    log = Log(json_line)
    log.logger.info("{name}: {secret} {n}", name="门架", secret=Secret("s3cret"), n=2, inf=1e999)
    try:
        raise ValueError("broken")
    except ValueError:
        log.logger.failure("{name} failed", name="ups1")
    first, second = (json.loads(line) for line in log.file.getvalue().splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "info",
        "namespace": "twisted_gantry.test",
        "message": "门架: <secret> 2",
        "fields": {"name": "门架", "secret": "<secret>", "n": 2, "inf": "inf"},
    }
    assert second["level"] == "critical"
    assert second["traceback"].rstrip().endswith("builtins.ValueError: broken")
    assert "s3cret" not in log.file.getvalue()


def test_old_events() -> None:
    """An event of the old `twisted.python.log` is a line, too."""
    log = Log(json_line)
    old = OldPublisher(publishPublisher=log.publisher)
    old.msg("Server Shut", "Down.")
    old.msg(failure=Failure(ValueError("x")), isError=1, why="because")
    first, second = (json.loads(line) for line in log.file.getvalue().splitlines())
    assert first["message"] == "Server Shut Down."
    assert "fields" not in first
    assert "ValueError" in second["traceback"]


class Nasty:
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


ODD = st.sampled_from([10**5000, Nasty(), "\ud800\x1b[2J\n\u2028"])
VALUES = st.text() | st.floats() | st.integers() | st.binary() | ODD


@given(st.text(), st.dictionaries(st.text(max_size=5), VALUES, max_size=3), st.text(max_size=9))
def test_nothing_breaks_a_line(text: str, fields: dict[str, Any], namespace: str) -> None:
    """Any event is one line of JSON in valid UTF-8, and one entry for people."""
    event = {
        **{f"f{name}": value for name, value in fields.items()},
        "log_format": text,
        "log_namespace": namespace,
        "log_time": 1.0,
        "log_level": LogLevel.info,
    }
    line = json_line(event)
    assert line.endswith("\n")
    assert "\n" not in line[:-1]
    assert set(json.loads(line)) <= {"time", "level", "namespace", "message", "fields"}
    line.encode()
    human = human_line(event)
    if human is not None:
        human.encode()
        assert "\x1b" not in human


@pytest.mark.parametrize("mark", "\u202e\u2028\u2029\u2066\u200f\u200b\ufeff\x85\x7f\u061c\u2060")
def test_no_mark_hides_or_turns_a_text(mark: str) -> None:
    """Characters that separate lines, turn the direction or show nothing are spelled out."""
    event = {
        "log_format": "{name} is online",
        "name": f"ups{mark}1",
        "log_level": LogLevel.info,
        "log_time": 1.0,
    }
    human, machine = human_line(event) or "", json_line(event)
    assert mark not in human + machine
    assert f"{ord(mark):02x}" in human
    assert json.loads(machine)["fields"]["name"] == f"ups{mark}1"


def test_long_texts_are_cut() -> None:
    """A long message from a peer is cut."""
    event = {"log_format": "x" * 10**6, "log_level": LogLevel.info, "log_time": 1.0}
    assert len(json_line(event)) < 10_000
    assert len(human_line(event) or "") < 40_000


@pytest.mark.parametrize(
    ("arguments", "ours"),
    [
        (["-n"], True),
        (["-n", "--logger", "twisted_gantry.logs.json_log"], False),
        (["-n", "--logfile", "x.log"], False),
        (["-n", "--syslog"], False),
        ([], False),
    ],
)
def test_who_says_where_the_log_goes(arguments: list[str], ours: bool) -> None:
    """In the foreground the log is ours, unless the options of twistd choose another."""

    class Twistd(ServerOptions):
        def postOptions(self) -> None:
            """Do as a plugin does: its own `postOptions` comes first."""
            choose_log(self)
            super().postOptions()  # type: ignore[no-untyped-call]

    options = Twistd()  # type: ignore[no-untyped-call]
    options.parseOptions(arguments)  # type: ignore[no-untyped-call]
    assert (options["logger"] is logs.human_log) is ours


def test_twistd_with_json(tmp_path: Path) -> None:
    """With `twistd --logger twisted_gantry.logs.json_log` every line of output is JSON."""
    config = tmp_path / "site.toml"
    config.write_text(
        '[gantry]\nid = "G000211001002110010"\n'
        '[[device]]\nname = "pc1"\nkind = "computer"\n'
        '[web]\nlisten = "tcp:0:interface=127.0.0.1"\n',
        encoding="utf-8",
    )
    command = [TWISTD, "-n", "--pidfile=", "--logger", "twisted_gantry.logs.json_log"]
    command += ["gantry", "--config", str(config), "--data", str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as daemon:
        assert daemon.stdout is not None
        first = json.loads(daemon.stdout.readline())
        assert "starting up" in first["message"]
        for line in daemon.stdout:
            if json.loads(line)["message"] == "pc1 is online":
                break
        daemon.terminate()
        rest = [json.loads(line)["message"] for line in daemon.stdout]
    assert rest[-1] == "Server Shut Down."
