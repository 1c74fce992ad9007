"""`history`: a table, a plot, JSON; in both languages, at a terminal and in a pipe."""

import json
import re
from typing import Any

import pytest
from rich.cells import cell_len

from tests.ctl.conftest import Ctl, FakeGantry, on_terminal, rows_of, without_colours

PATH = "/api/v1/history"
DAY: dict[str, Any] = {
    "point": "ups1.input_voltage_r",
    "unit": "V",
    "since": "2026-10-12T00:00:00.000+08:00",
    "until": "2026-10-13T00:00:00.000+08:00",
    "step": 3600.0,
    "samples": [
        [f"2026-10-12T{hour:02}:00:00.000+08:00", 200.0 + hour, 210 + hour / 3, 230.5]
        for hour in range(24)
        if hour not in (10, 11, 12)
    ],
}
BRAILLE = re.compile(r"[\u2801-\u28ff]")


@pytest.fixture
def day(gantry: FakeGantry) -> FakeGantry:
    """Return a gantry that has a day of a point, with a gap."""
    gantry.says("GET", PATH, DAY)
    return gantry


def test_table(ctl: Ctl, day: FakeGantry) -> None:
    """A row per step, minimum and maximum with all digits; no row without a known value."""
    result = ctl("history", "ups1.input_voltage_r")
    assert result.exit_code == 0
    rows = rows_of(result.stdout)
    assert rows[0] == ["Time", "Minimum", "Mean", "Maximum", "Unit"]
    assert rows[2] == ["2026-10-12 01:00:00", "201.0", "210.333", "230.5", "V"]
    assert len(rows) == 1 + 21
    assert not [row for row in rows if "T11:" in row[0]]
    assert day.seen[0].query == {"point": "ups1.input_voltage_r"}
    shown = ctl("history", "ups1.input_voltage_r", lang="zh").stdout
    assert rows_of(shown)[0] == ["时间", "最小值", "平均值", "最大值", "单位"]
    plot = ctl("history", "ups1.input_voltage_r", "--plot", lang="zh").stdout
    assert "每段 3600 秒" in plot


def test_what_is_asked(ctl: Ctl, day: FakeGantry) -> None:
    """Since, until and step are sent as typed: the gantry interprets them."""
    ctl("history", "p", "--since", "24h", "--until", "2026-10-12T08:00:00+08:00", "--step", "15m")
    assert day.seen[0].query == {
        "point": "p",
        "since": "24h",
        "until": "2026-10-12T08:00:00+08:00",
        "step": "15m",
    }


def test_json(ctl: Ctl, day: FakeGantry) -> None:
    """JSON is the answer of the gantry, wherever --json stands."""
    for args in (["history", "p", "--json"], ["--json", "history", "p", "--plot"]):
        assert json.loads(ctl(*args).stdout) == DAY


@pytest.mark.parametrize("width", [40, 80, 200])
def test_plot_fills_the_terminal(
    ctl: Ctl, day: FakeGantry, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """A plot is as wide as the terminal; its axes have times and values."""
    on_terminal(monkeypatch, width)
    result = ctl("history", "ups1.input_voltage_r", "--plot")
    lines = [line.rstrip() for line in without_colours(result.stdout).splitlines()]
    assert max(cell_len(line) for line in lines[-15:]) == width - 1
    assert lines[-1].split("  ")[-1].strip() in ("2026-10-13 00:00", "10-13 00:00")
    assert lines[-1].strip().startswith(("2026-10-12 00:00", "10-12 00:00"))
    assert [line.split()[0] for line in lines if "┤" in line] == ["230.5", "215.25", "200"]


def test_plot_shows_gaps(ctl: Ctl, day: FakeGantry) -> None:
    """A time without a known value is a gap in the plot, not a zero."""
    lines = ctl("history", "ups1.input_voltage_r", "--plot").stdout.splitlines()
    start = lines[-2].index("└") + 1
    width = len(lines[-2]) - start
    drawn = {
        place - start
        for line in lines[1:-2]
        for place, char in enumerate(line)
        if BRAILLE.match(char)
    }
    gap = {int(width * hour / 24) for hour in (10.2, 11, 12, 12.8)}
    assert not drawn & gap
    assert {0, int(width * 9.5 / 24), int(width * 13.5 / 24), width - 1} <= drawn


@pytest.mark.parametrize("value", [5.0, 0.0, -1e99])
def test_plot_of_a_value_that_does_not_change(ctl: Ctl, gantry: FakeGantry, value: float) -> None:
    """A constant value is one line with its label."""
    gantry.says("GET", PATH, {**DAY, "samples": [[DAY["since"], value, value, value]]})
    lines = ctl("history", "p", "--plot").stdout.splitlines()
    assert sum("┤" in line for line in lines) == 1
    assert sum(bool(BRAILLE.search(line)) for line in lines) == 1


def test_nothing_is_known(ctl: Ctl, gantry: FakeGantry) -> None:
    """A time without a sample is shown as such."""
    gantry.says("GET", PATH, {**DAY, "samples": []})
    for args in ([], ["--plot"]):
        result = ctl("history", "p", *args)
        assert (result.exit_code, result.stdout.count("\n")) == (0, 1)
        assert "No data of ups1.input_voltage_r" in result.stdout
    assert "没有" in ctl("history", "p", lang="zh").stdout


def test_no_such_point(ctl: Ctl, gantry: FakeGantry) -> None:
    """A refusal of the gantry is shown with its reason."""
    gantry.refuses("GET", PATH, 404, "no-such-point", "there is no such point")
    result = ctl("history", "nowhere")
    assert result.exit_code == 1
    assert "there is no such point" in result.stderr


@pytest.mark.parametrize(
    "odd",
    [
        {"samples": [["yesterday", 1, 2, 3]]},
        {"samples": [["2026-10-12T00:00:00", 1, 2, 3]]},
        {"samples": [["2026-10-12T00:00:00Z", 1, 2]]},
        {"samples": [["2026-10-12T00:00:00Z", None, 2, 3]]},
        {"until": "soon"},
        {"step": "1h"},
    ],
)
def test_odd_answers(ctl: Ctl, gantry: FakeGantry, odd: dict[str, Any]) -> None:
    """A malformed answer is an error, and nothing is drawn."""
    gantry.says("GET", PATH, {**DAY, **odd})
    result = ctl("history", "p", "--plot")
    assert result.exit_code == 1
    assert "a malformed answer" in result.stderr


@pytest.mark.parametrize(
    "odd",
    [
        {"step": 0},
        {"step": -5, "until": DAY["since"]},
        {"until": "2000-01-01T00:00:00Z"},
        {"since": "2030-01-01T00:00:00Z", "until": "2031-01-01T00:00:00Z"},
        {"point": "\x1b[31m", "unit": "\x07"},
    ],
)
def test_strange_answers_are_drawn_somehow(
    ctl: Ctl, gantry: FakeGantry, odd: dict[str, Any]
) -> None:
    """Senseless times and control characters do no harm."""
    gantry.says("GET", PATH, {**DAY, **odd})
    for args in ([], ["--plot"]):
        result = ctl("history", "p", *args)
        assert result.exit_code == 0
        assert "\x1b" not in result.stdout
        assert "\x07" not in result.stdout


def test_a_point_is_needed(ctl: Ctl, gantry: FakeGantry) -> None:
    """Wrong usage is exit code 64, and the gantry is not asked."""
    assert ctl("history").exit_code == 64
    assert not gantry.seen
