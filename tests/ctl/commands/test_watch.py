"""`watch`: each change once in a pipe, a table at a terminal, and an absent gantry."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.ctl.conftest import Ctl, FakeGantry, rows_of
from tests.ctl.test_main import PROGRAM, _environment, _hears_ctrl_c, _on_terminal
from twisted_gantry.ctl.commands import watch
from twisted_gantry.wire.reading import Quality

POINTS, SITE, ALARMS = "/api/v1/points", "/api/v1/site", "/api/v1/alarms"
Turn = Callable[[FakeGantry], None]


@pytest.fixture
def turns(gantry: FakeGantry, monkeypatch: pytest.MonkeyPatch) -> list[Turn]:
    """Return the events between two readings; after the last comes Ctrl-C."""
    waiting: list[Turn] = []

    def pause(_: float) -> None:
        if not waiting:
            raise KeyboardInterrupt
        waiting.pop(0)(gantry)

    monkeypatch.setattr(watch, "pause", pause)
    return waiting


def _points(**values: Any) -> Turn:
    """Return a turn with new values of points, and a new time for all of them."""

    def turn(gantry: FakeGantry) -> None:
        real = gantry.real
        gantry.answers.clear()
        real.clock.advance(1)
        for point in real.site.points.under():
            device, _, name = point.name.partition(".")
            value = values.get(name, point.value)
            quality = point.quality if value == point.value else Quality.GOOD
            real.site.points.update(device, {name: (value, quality)})

    return turn


def _names(gantry: FakeGantry, prefix: str) -> list[str]:
    found = gantry.document(f"{POINTS}?prefix={prefix}")["points"]
    return [each["point"] for each in found]


def _same(_: FakeGantry) -> None:
    pass


def _broken(gantry: FakeGantry) -> None:
    for path in (POINTS, SITE, ALARMS):
        gantry.says("GET", path, b"", 200, **{"Content-Length": "9"})


def test_points_in_a_pipe(ctl: Ctl, gantry: FakeGantry, turns: list[Turn]) -> None:
    """All rows come once, then each new value or quality; a new time is no change."""
    turns += [_same, _points(), _points(mains_abnormal=False), _points(mains_abnormal=False)]
    result = ctl("watch", "points", "--prefix", "ups1.")
    assert result.exit_code == 130
    rows = rows_of(result.stdout)
    assert [row[0] for row in rows[:-1]] == _names(gantry, "ups1.")
    assert rows[0][1:4] == ["220.123", "V", "good"]
    assert rows[-1][:2] == ["ups1.mains_abnormal", "no"]
    assert len(rows) == 5
    assert {seen.query["prefix"] for seen in gantry.seen} == {"ups1."}
    assert len(gantry.seen) == 5


def test_json(ctl: Ctl, gantry: FakeGantry, turns: list[Turn]) -> None:
    """With --json each change is an object of the API on one line."""
    before = gantry.document(POINTS)["points"]
    turns += [_points(memory_total=1)]
    lines = ctl("watch", "points", "--json").stdout.splitlines()
    found = [json.loads(line) for line in lines]
    assert found[:-1] == before
    assert (found[-1]["point"], found[-1]["value"]) == ("pc1.memory_total", 1)


def test_devices(ctl: Ctl, turns: list[Turn]) -> None:
    """Changes of devices and uplinks are state, error and queue; --prefix selects."""
    turns += [lambda gantry: gantry.real.fail()]
    rows = rows_of(ctl("watch", lang="zh").stdout)
    assert [row[:3] for row in rows] == [
        ["ups1", "ups-card", "在线"],
        ["ups2", "ups-card-http", "在线"],
        ["cfos", "cfos", "在线"],
        ["pc1", "computer", "在线"],
        ["etc", "上报通道", "在线"],
        ["ups1", "ups-card", "离线"],
        ["etc", "上报通道", "离线"],
    ]
    assert rows[6][4:6] == ["12", "3"]
    turns.append(_same)
    only = ctl("watch", "--prefix", "pc").stdout.splitlines()
    assert [line.split()[0] for line in only] == ["pc1"] * len(only)


def test_alarms(ctl: Ctl, turns: list[Turn]) -> None:
    """An alarm is shown when it is raised and when it is cleared."""

    def over(gantry: FakeGantry) -> None:
        gantry.real.clock.advance(60)
        gantry.real.site.alarms.clear("ups1.mains-abnormal")

    turns += [_same, lambda gantry: gantry.real.raise_alarm(), _same, over]
    lines = ctl("watch", "alarms").stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["ups1.mains-abnormal"] * 2
    assert lines[0].endswith("–")
    assert lines[1].endswith("2026-10-12 10:01:00")


def test_a_restart(ctl: Ctl, turns: list[Turn]) -> None:
    """The absence of the gantry is reported once, and its return once; then watching goes on."""

    def ill(gantry: FakeGantry) -> None:
        gantry.refuses("GET", POINTS, 500)

    turns += [_broken, _same, ill, _points(), _points(mains_abnormal=False)]
    result = ctl("watch", "points")
    assert result.exit_code == 130
    said = result.stderr.splitlines()
    assert len(said) == 2 + result.stderr.count("\n\n")
    assert said[0].startswith("No connection. ")
    assert said[1] == "Connected again."
    assert len(result.stdout.splitlines()) == 6


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_ends_it(ctl: Ctl, turns: list[Turn], status: int) -> None:
    """A refusal that another try would not change ends the command."""
    turns += [lambda gantry: gantry.refuses("GET", POINTS, status), _same]
    result = ctl("watch", "points")
    assert (result.exit_code, turns) == (1, [_same])


def test_nobody_there_at_first(ctl: Ctl, turns: list[Turn]) -> None:
    """A gantry that is absent at the start is an error."""
    assert ctl("--url", "unix:/nonexistent", "watch").exit_code == 2


@pytest.mark.parametrize("args", [["walls"], ["--interval", "0"], ["--interval", "x"]])
def test_wrong_usage(ctl: Ctl, gantry: FakeGantry, args: list[str]) -> None:
    """Wrong usage is exit code 64, and the gantry is not asked."""
    assert ctl("watch", *args).exit_code == 64
    assert not gantry.seen


# -- in a real process


def _shown(screen: str) -> str:
    """Return the last screen, with marks where it is highlighted."""
    last = screen.split("\x1b[H")[-1]
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", lambda m: "«" if "1;7" in m.group() else "", last)


def test_on_a_terminal(gantry: FakeGantry) -> None:
    """A table is drawn, changes are highlighted, absence is shown; Ctrl-C ends the command."""
    with _on_terminal(gantry, "watch", "points", "--interval", "0.2") as (terminal, process):
        terminal.until("pc1.memory_total")
        assert "\x1b[?1049h" in terminal.shown  # the screen of its own, given back at the end
        assert "«" not in _shown(terminal.shown)
        _points(input_voltage_r=231.5)(gantry)
        terminal.until("231.5")
        assert re.search(r"input_voltage_r +«231\.5", _shown(terminal.shown))
        _broken(gantry)
        terminal.until("No connection.")
        _points(input_voltage_r=229.75)(gantry)
        terminal.until("229.75")
        process.send_signal(signal.SIGINT)
        shown = terminal.rest()
    assert process.returncode == 130
    assert shown.rstrip().endswith("\x1b[?1049l")
    assert "Traceback" not in shown


def test_a_table_that_is_too_long(gantry: FakeGantry) -> None:
    """If not all rows fit, the first are shown, with the number of the others."""
    [first, *_] = gantry.document(POINTS)["points"]
    points = [{**first, "point": f"ups1.p{n:03}"} for n in range(300)]
    gantry.says("GET", POINTS, {"points": points})
    with _on_terminal(gantry, "watch", "points", "--interval", "0.2") as (terminal, process):
        terminal.until("more do not fit")
        process.send_signal(signal.SIGINT)
        shown = _shown(terminal.rest().replace("\x1b[?1049l", ""))
    rows = len(re.findall(r"ups1\.p\d+", shown))
    assert 0 < rows < 100
    assert f"{300 - rows} more do not fit" in shown


def test_ctrl_c_in_a_pipe(gantry: FakeGantry) -> None:
    """A change is written at once, not when a buffer is full; Ctrl-C is exit code 130."""
    process = subprocess.Popen(
        [*PROGRAM, "watch"],
        env=_environment(gantry),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_hears_ctrl_c,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(5)]
    names = [line.split()[0] for line in lines]
    assert names == [b"ups1", b"ups2", b"cfos", b"pc1", b"etc"]
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, b"\n")
