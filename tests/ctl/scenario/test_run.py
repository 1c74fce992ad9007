"""`gantryctl scenario`: the verdicts, and the output for people and programs."""

import json
import os
import signal
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tests.ctl.conftest import Ctl, FakeGantry
from twisted_gantry.ctl.scenario import run as scenario
from twisted_gantry.ctl.scenario.judge import Judge, Verdict, describe, holds, value_at
from twisted_gantry.ctl.scenario.run import follow
from twisted_gantry.ctl.session import Session

START = datetime(2026, 9, 21, 14, 0, tzinfo=UTC)
ALARMS, SITE, POINTS = "/api/v1/alarms", "/api/v1/site", "/api/v1/points"
SCENARIO, LIBRARY = "/twin/v1/scenario", "/twin/v1/scenario/library"
RUN = ("scenario", "run", "smoke")
REQUESTS, RECORDS = "/twin/v1/etc/requests", "/twin/v1/fogslink/records"


def at(seconds: float) -> str:
    """Return the time so many seconds after the start."""
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def alarm(name: str, raised: float, cleared: float | None = None) -> dict[str, Any]:
    """Return an alarm as the gantry shows it."""
    over = None if cleared is None else at(cleared)
    return {"alarm": name, "raisedAt": at(raised), "clearedAt": over}


class Scene:
    """A run with one expectation from the start on, and the answers of gantry and twin."""

    def __init__(self, **expectation: Any) -> None:
        self.given = {"step": 1, "at": 0, **expectation}
        self.now, self.state, self.number = 0.0, "running", 1
        self.begun = True
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, Mapping[str, object]]] = []
        self.judge = Judge(self.scenario(), self.get, self.get)

    def scenario(self) -> dict[str, Any]:
        due = at(self.given["within"]) if self.begun else None
        timed = {**self.given, "since": at(0) if self.begun else None, "due": due}
        run = {"run": self.number, "name": "x", "state": self.state, "now": at(self.now)}
        return {"scenario": {**run, "expectations": [timed]}}

    def get(self, path: str, query: Mapping[str, object]) -> Any:
        self.asked.append((path, query))
        return self.scenario() if path == SCENARIO else self.answers.get(path)

    def look(self, now: float, **answers: Any) -> tuple[str, float | None]:
        """Return verdict and time after a look; answers are named by the last part of the path."""
        paths = (ALARMS, SITE, POINTS, REQUESTS, RECORDS)
        self.answers = {p: answers[n] for p in paths if (n := p.rpartition("/")[2]) in answers}
        self.now = now
        self.judge.look()
        [expected] = self.judge.expected
        return expected.verdict.value, expected.after


def test_an_alarm_counts_from_the_step_until_it_is_due() -> None:
    """An earlier alarm does not count; one in time counts, however late it is seen."""
    scene = Scene(alarm="ups1.x", within=5)
    assert scene.look(1, alarms={"alarms": []}) == ("pending", None)
    old = alarm("ups1.x", -1)
    assert scene.look(2, alarms={"alarms": [old, alarm("ups2.x", 1)]}) == ("pending", None)
    seen = {"alarms": [alarm("ups1.x", 4.5, cleared=4.8), alarm("ups1.x", 9), old]}
    assert scene.look(30, alarms=seen) == ("met", 4.5)
    assert scene.look(31, alarms={"alarms": []}) == ("met", 4.5)


def test_an_alarm_that_came_too_late_is_missed() -> None:
    """And not before the time is over, nor while the gantry does not answer."""
    scene = Scene(alarm="ups1.x", within=5)
    late = {"alarms": [alarm("ups1.x", 5.1)]}
    assert scene.look(5, alarms=late) == ("pending", None)
    assert scene.look(6) == ("pending", None)
    assert scene.look(7, alarms=late) == ("missed", None)


def test_a_step_that_is_not_done_waits() -> None:
    """Nothing is asked for, and nothing judged."""
    scene = Scene(alarm="ups1.x", within=5)
    scene.begun = False
    assert scene.look(100, alarms={"alarms": [alarm("ups1.x", 1)]}) == ("waiting", None)
    assert [path for path, _ in scene.asked] == [SCENARIO]


def test_a_cleared_alarm() -> None:
    """Clearing in time counts, whenever the alarm was raised."""
    scene = Scene(cleared="ups1.x", within=5)
    assert scene.look(1, alarms={"alarms": [alarm("ups1.x", -100)]}) == ("pending", None)
    assert scene.look(3, alarms={"alarms": [alarm("ups1.x", -100, 2)]}) == ("met", 2.0)


def test_no_alarm_is_decided_at_the_end() -> None:
    """An alarm decides at once; an alarm that was active before counts, too."""
    scene = Scene(no_alarm="ups1.x", within=5)
    calm = {"alarms": [alarm("ups1.x", -9, -2), alarm("ups1.x", 8)]}
    assert scene.look(4.9, alarms={"alarms": []}) == ("pending", None)
    assert scene.look(9) == ("pending", None)
    assert scene.look(10, alarms={"alarms": [*calm["alarms"][:1]]}) == ("met", None)
    for raised in (alarm("ups1.x", 2, 3), alarm("ups1.x", -100)):
        scene = Scene(no_alarm="ups1.x", within=5)
        assert scene.look(1, alarms={"alarms": [raised]}) == ("missed", None)


def test_a_point_is_read_after_the_step() -> None:
    """An earlier reading, a bad one, and another point do not count."""
    scene = Scene(point="ups1.load_r", above=100, within=5)

    def point(name: str, value: float, read: float, quality: str = "good") -> dict[str, Any]:
        return {"point": name, "value": value, "quality": quality, "at": at(read)}

    for each in (
        point("ups1.load_r", 105, -0.1),
        point("ups1.load_r", 105, 1, "get-failed"),
        point("ups1.load_r_max", 105, 1),
        point("ups1.load_r", 100, 1),
        point("ups1.load_r", 105, 5.1),
    ):
        assert scene.look(2, points={"points": [each]}) == ("pending", None)
    assert scene.asked[-1] == (POINTS, {"prefix": "ups1.load_r"})
    assert scene.look(2, points={"points": [point("ups1.load_r", 105, 1.5)]}) == ("met", 1.5)


def test_a_report_counts_if_the_platform_took_it() -> None:
    """The first accepted report counts; a refused report does not."""
    scene = Scene(report="cabinetStatus.elec[1].status", **{"is": "0"}, within=5)

    def report(received: float, status: str, code: str = "1000") -> dict[str, Any]:
        elec = [{"status": "0"}, {"status": status}]
        body = {"cabinetStatus": {"elec": elec}}
        return {"at": at(received), "body": body, "answer": {"code": code}}

    wrong = [report(3, "1"), report(2, "0", "1005"), report(-1, "0"), {"at": at(1), "answer": None}]
    assert scene.look(3, requests={"requests": wrong}) == ("pending", None)
    assert scene.asked[-1][1] == {"method": "cabinetStatusUpdate", "limit": 50}
    good = {"requests": [report(3, "0"), report(2, "0"), *wrong]}
    assert scene.look(4, requests=good) == ("met", 2.0)


def test_a_record_counts_by_its_channel() -> None:
    """The value of a record is text; without a test any value counts."""

    def record(channel: str, value: str | None, came: float) -> dict[str, Any]:
        return {"eChan": channel, "eVal": value, "at": at(came)}

    scene = Scene(record="P0-C1", **{"is": 0}, within=5)
    wrong = [record("P0-C1", "220.0", 1), record("P0-C1", None, 1), record("P0-C2", "0", 1)]
    assert scene.look(2, records={"records": wrong}) == ("pending", None)
    assert scene.look(2, records={"records": [*wrong, record("P0-C1", "0.0", 1.5)]}) == ("met", 1.5)
    scene = Scene(record="P0-C1", within=5)
    assert scene.look(2, records={"records": [record("P0-C1", None, 1)]}) == ("met", 1.0)


def test_states_count_from_when_they_are() -> None:
    """A state from before the step counts at once; a later state counts by its time."""

    def site(state: str, since: float, queued: int = 0) -> dict[str, Any]:
        each = {"name": "a", "state": state, "since": at(since), "queued": queued}
        return {"devices": [each], "uplinks": [each]}

    scene = Scene(device="a", state="offline", within=5)
    assert scene.look(1, site=site("online", -9)) == ("pending", None)
    assert scene.look(9, site=site("offline", 4)) == ("met", 4.0)
    assert Scene(uplink="a", state="online", within=5).look(1, site=site("online", -9))[0] == "met"
    scene = Scene(device="a", state="offline", within=5)
    assert scene.look(9, site=site("offline", 6)) == ("missed", None)
    scene = Scene(queue="a", above=1, within=5)
    assert scene.look(1, site=site("online", 0, queued=1)) == ("pending", None)
    assert scene.look(2, site=site("online", 0, queued=2)) == ("met", 2.0)
    scene = Scene(queue="a", above=1, within=5)
    assert scene.look(6, site=site("online", 0, queued=2)) == ("missed", None)


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_a_run_that_is_broken_off_is_not_judged(state: str) -> None:
    """Undecided expectations are not judged, and the run is not kept."""
    scene = Scene(alarm="ups1.x", within=5)
    scene.state = state
    assert scene.look(1, alarms={"alarms": []}) == ("not-judged", None)
    assert (scene.judge.over, scene.judge.kept) == (True, False)


def test_another_run_is_not_ours() -> None:
    """Another run of the twin is not judged."""
    scene = Scene(alarm="ups1.x", within=5)
    scene.number = 2
    assert scene.look(1, alarms={"alarms": [alarm("ups1.x", 0.5)]}) == ("not-judged", None)
    assert scene.judge.over


def test_it_is_followed_to_its_end() -> None:
    """Following ends when all is decided and the scenario is over; looks are paused."""
    scene = Scene(alarm="ups1.x", within=5)
    scene.answers[ALARMS] = {"alarms": [alarm("ups1.x", 1)]}
    shown: list[str] = []

    def pause(seconds: float) -> None:
        scene.now += seconds
        if scene.now >= 1:
            scene.state = "done"

    follow(scene.judge, pause, lambda judge: shown.append(judge.run.state))
    assert shown == ["running"] * 4 + ["done"]
    assert scene.judge.kept


@pytest.mark.parametrize("answer", [{}, {"scenario": None}, {"scenario": {"run": "one"}}])
def test_what_is_no_answer_of_a_twin_is_refused(answer: Any) -> None:
    """An answer without a run is refused."""
    with pytest.raises(msgspec.ValidationError):
        Judge(answer, lambda path, query: None, lambda path, query: None)


@pytest.mark.parametrize("rows", [None, 5, [5, None], [{}], [{"alarm": "ups1.x", "raisedAt": 5}]])
def test_odd_rows_count_for_nothing(rows: Any) -> None:
    """Malformed rows of the gantry are ignored."""
    scene = Scene(alarm="ups1.x", within=5)
    assert scene.look(1, alarms={"alarms": rows}) == ("pending", None)


def test_values() -> None:
    """Text is compared as text; a number may be text; true is not 1."""
    assert holds({"is": 0}, "0.0")
    assert not holds({"is": "0"}, "0.0")
    assert not holds({"is": 1}, True)
    assert not holds({"is": True}, 1)
    assert holds({"is": True}, True)
    assert holds({"below": 5}, 4.9)
    assert not holds({"below": 5}, "low")
    assert not holds({"above": 5}, None)
    assert value_at({"a": [{"b": 1}]}, "a[0].b") == 1
    assert value_at({"a": [{"b": 1}]}, "a[1].b") is None
    assert value_at({"a": 5}, "a.b") is None
    assert value_at([], "a") is None


def test_descriptions() -> None:
    """An expectation is described in one line."""
    assert describe({"point": "ups1.state", "is": "battery"}) == "point ups1.state is battery"
    assert describe({"no_alarm": "ups1.x", "within": 5}) == "no alarm ups1.x"
    assert describe({"point": "a.b", "is": True}) == "point a.b is true"


# -- the commands


@pytest.fixture
def twin(gantry: FakeGantry, monkeypatch: pytest.MonkeyPatch) -> FakeGantry:
    """Return the same server as a twin, with a finished run: one met, one missed."""
    monkeypatch.setenv("GANTRY_TWIN_URL", gantry.url)
    timed = [{"since": at(0), "due": at(5)}, {"since": at(5), "due": at(10)}]
    run = {
        "run": 1,
        "name": "smoke",
        "state": "done",
        "now": at(20),
        "elapsed": 300,
        "length": 300,
        "speed": 60,
        "stepsDone": 2,
        "steps": 2,
        "expectations": [
            {"step": 1, "at": 0, "alarm": "cab1.smoke", "within": 5, **timed[0]},
            {"step": 2, "at": 300, "cleared": "cab1.smoke", "within": 5, **timed[1]},
        ],
    }
    gantry.says("POST", SCENARIO, {"scenario": run})
    gantry.says("GET", SCENARIO, {"scenario": run})
    gantry.says("DELETE", SCENARIO, {"scenario": {**run, "state": "stopped"}})
    gantry.says("GET", ALARMS, {"alarms": [alarm("cab1.smoke", 1.25)]})
    one = {"name": "smoke", "en": "Smoke", "zh": "烟雾", "length": 300, "fastest": 60}
    gantry.says("GET", LIBRARY, {"scenarios": [one]})
    expected = {"alarm": "cab1.smoke", "within": 5}
    step = {"at": "00:05:00", "set": {"cab1.smoke": True}, "expect": expected}
    gantry.says("GET", f"{LIBRARY}/smoke", {**one, "steps": [step]})
    return gantry


def test_run_shows_each_verdict(ctl: Ctl, twin: FakeGantry) -> None:
    """A table and the result are shown; the exit code is 1 if something was missed."""
    result = ctl(*RUN)
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[1].split() == ["1", "0", "alarm", "cab1.smoke", "5", "met", "1.2"]
    assert lines[2].split() == ["2", "300", "cleared", "cab1.smoke", "5", "MISSED", "–"]
    assert "smoke: done, 300 of 300 s at speed 60; step 2 of 2" in result.output
    assert "1 of 2 expectations are met" in result.output
    assert twin.asked()[:2] == [("GET", SITE), ("POST", SCENARIO)]
    assert twin.seen[1].body == {"name": "smoke"}


def test_run_at_another_speed(ctl: Ctl, twin: FakeGantry) -> None:
    """The speed is sent to the twin; a senseless one is wrong usage."""
    ctl(*RUN, "--speed", "60")
    assert twin.seen[1].body == {"name": "smoke", "speed": 60}
    before = len(twin.asked())
    assert ctl(*RUN, "--speed", "0").exit_code == 64
    assert len(twin.asked()) == before


def test_run_tells_when_all_is_as_expected(ctl: Ctl, twin: FakeGantry) -> None:
    """Exit code 0, here in Chinese."""
    twin.says("GET", ALARMS, {"alarms": [alarm("cab1.smoke", 1, 6)]})
    result = ctl(*RUN, lang="zh")
    assert result.exit_code == 0
    assert "2 项全部符合" in result.output


def test_run_for_programs(ctl: Ctl, twin: FakeGantry) -> None:
    """JSON has every verdict."""
    result = ctl(*RUN, "--json")
    document = json.loads(result.output)
    assert (result.exit_code, document["ok"], document["scenario"]) == (1, False, "smoke")
    assert document["expectations"][0] == {
        "step": 1,
        "at": 0.0,
        "expectation": "alarm cab1.smoke",
        "within": 5.0,
        "verdict": "met",
        "after": 1.25,
    }
    assert document["expectations"][1]["verdict"] == Verdict.MISSED


def test_the_password_is_not_for_the_twin(ctl: Ctl, twin: FakeGantry) -> None:
    """Only the gantry gets the password."""
    ctl(*RUN, env={"GANTRY_PASSWORD": "Sesame-4711"})
    for seen in twin.seen:
        assert ("Authorization" in seen.headers) is seen.path.startswith("/api/")


def test_nothing_is_begun_without_a_gantry(ctl: Ctl, twin: FakeGantry) -> None:
    """Without a gantry no scenario is begun."""
    result = ctl("--url", "http://127.0.0.1:1", *RUN)
    assert result.exit_code == 2
    assert twin.seen == []


def test_what_the_twin_refuses_is_told(ctl: Ctl, twin: FakeGantry) -> None:
    """A refusal of the twin is shown with its reason."""
    twin.refuses("POST", SCENARIO, 409, "scenario-running", "flood is running")
    result = ctl(*RUN)
    assert result.exit_code == 1
    assert "flood is running" in result.stderr
    twin.says("POST", SCENARIO, {"scenario": 5})
    assert "a malformed answer" in ctl(*RUN).stderr


def test_list(ctl: Ctl, twin: FakeGantry) -> None:
    """Names, lengths, speeds and titles are listed."""
    result = ctl("scenario", "list")
    assert result.output.splitlines()[1].split() == ["smoke", "300", "60", "Smoke"]
    assert "烟雾" in ctl("scenario", "list", lang="zh").output
    shown = ctl("scenario", "list", "--json")
    assert json.loads(shown.output)["scenarios"][0]["name"] == "smoke"


def test_show(ctl: Ctl, twin: FakeGantry) -> None:
    """The steps of a scenario are shown; without a name, the run."""
    steps = ctl("scenario", "show", "smoke").output
    assert "smoke  Smoke  300 s, at speed 60 at the most" in steps
    assert "set cab1.smoke = true" in steps
    assert "alarm cab1.smoke (5 s)" in steps
    assert "smoke: done" in ctl("scenario", "show").output
    twin.says("GET", SCENARIO, {"scenario": None})
    assert "No scenario has run." in ctl("scenario", "show").output
    assert ctl("scenario", "show", "../../x").exit_code == 1
    assert twin.seen[-1].path == f"{LIBRARY}/..%2F..%2Fx"


def test_stop(ctl: Ctl, twin: FakeGantry) -> None:
    """The run is stopped, and its state shown."""
    result = ctl("scenario", "stop")
    assert (result.exit_code, twin.asked()) == (0, [("DELETE", SCENARIO)])
    assert "smoke: stopped" in result.output


def test_ctrl_c_stops_the_scenario(
    ctl: Ctl, twin: FakeGantry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C stops the scenario in the twin."""

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scenario, "follow", interrupted)
    assert ctl(*RUN).exit_code == 130
    assert twin.asked()[-1] == ("DELETE", SCENARIO)


def test_a_script_that_gives_up_stops_the_scenario(
    ctl: Ctl, twin: FakeGantry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM, as from `timeout`, acts like Ctrl-C; its handler is restored afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(scenario, "follow", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    assert ctl(*RUN).exit_code == 130
    assert twin.asked()[-1] == ("DELETE", SCENARIO)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_person_sees_it_as_it_goes(
    ctl: Ctl, twin: FakeGantry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a terminal the table is drawn after each look, and at the end."""
    monkeypatch.setattr(Session, "on_terminal", staticmethod(lambda: True))
    result = ctl(*RUN)
    assert result.exit_code == 1
    assert result.output.count("MISSED") >= 2
