"""Scenarios in the world's time: order, ramps, faults, ends, and what the control API shows."""

import random
from collections import Counter
from typing import Any

import pytest
from twisted.internet.task import Clock

from tests.twin.helpers import AUTH, GANTRY_ID, NOW, http
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.twin.faces.etc.platform import Platform
from twisted_gantry.twin.faults.settings import ETC, NO_FAULTS, UPS_TCP, Faults
from twisted_gantry.twin.scenarios.control import ScenarioControl
from twisted_gantry.twin.scenarios.runner import CannotStart, Runner
from twisted_gantry.twin.scenarios.script import load_scenario, read_scenario, scenario_names
from twisted_gantry.twin.service import Stepper
from twisted_gantry.twin.world.model import World


class Bench:
    """A world on a Clock, and the runner that its time passes through."""

    def __init__(self, speed: float = 1.0) -> None:
        self.clock = Clock()
        self.world = World(random.Random(0))
        self.faults = Faults(self.clock.seconds, random.Random(0))
        self.platform = Platform(self.faults, self.clock, self.now, gantry_id=GANTRY_ID, auth=AUTH)
        self.runner = Runner(self.world, self.faults, self.platform, self.now, speed)

    def now(self) -> float:
        return NOW + float(self.clock.seconds())

    def start(self, *steps: dict[str, Any], **more: Any) -> None:
        self.runner.start(read_scenario({"steps": list(steps), **more}))

    def step(self, seconds: float) -> None:
        """Let the world's time pass, and as much on the clock."""
        self.clock.advance(seconds)
        self.runner.step(seconds)

    @property
    def shown(self) -> dict[str, Any]:
        shown = self.runner.shown()
        assert shown is not None
        return shown

    def __getitem__(self, name: str) -> Any:
        return self.world.snapshot()[name]


def test_steps_are_done_at_their_moments() -> None:
    """What is due at once is; what is due within a long step of the world is done on the way."""
    bench = Bench()
    bench.start(
        {"at": 0, "set": {"cab1.smoke": True}},
        {"at": 10, "set": {"mains.voltage": 0}},
        {"at": 30, "set": {"mains.voltage": 220, "cab1.smoke": False}},
    )
    assert (bench["cab1.smoke"], bench.shown["stepsDone"]) == (True, 1)
    bench.step(9.9)
    assert bench["ups1.state"] == "line"
    bench.step(0.1)
    assert (bench["ups1.state"], bench.shown["state"]) == ("battery", "running")
    charge = bench["ups1.battery_charge"]
    bench.step(3600)
    assert bench["ups1.state"] == "line"
    assert bench["ups1.battery_charge"] > charge - 1, "it was on battery for 20 s, not an hour"
    assert (bench.shown["state"], bench.shown["stepsDone"]) == ("done", 3)
    assert bench.world.elapsed_s == pytest.approx(3610)


def test_without_a_scenario_time_passes() -> None:
    """The world does not stand still for want of one, nor after one."""
    bench = Bench()
    assert bench.runner.shown() is None
    bench.step(5)
    bench.start({"at": 0})
    assert bench.shown["state"] == "done"
    bench.step(5)
    assert bench.world.elapsed_s == pytest.approx(10)
    with pytest.raises(ValueError, match="not a length of time"):
        bench.runner.step(-1)
    with pytest.raises(ValueError, match="not a length of time"):
        bench.runner.step(float("nan"))


def test_a_ramp_goes_evenly_and_ends_at_its_goal() -> None:
    """A name that sets several takes each from where it is."""
    bench = Bench()
    bench.world.change({"mains.voltage_t": 200})
    bench.start({"at": 10, "ramp": {"mains.voltage": 180, "over": 40}})
    bench.step(20)
    assert bench["mains.voltage_r"] == pytest.approx(210)
    assert bench["mains.voltage_t"] == pytest.approx(195)
    bench.step(29.9)
    assert bench.shown["state"] == "running"
    bench.step(0.1)
    assert [bench[f"mains.voltage_{phase}"] for phase in "rst"] == [180.0] * 3
    assert bench.shown["state"] == "done"


def test_the_world_follows_a_ramp_within_one_long_step() -> None:
    """At a high speed a step of the twin spans a whole sag: the UPS has seen it all the same."""
    bench = Bench()
    bench.start(
        {"at": 0, "ramp": {"mains.voltage": 100, "over": 60}},
        {"at": 120, "ramp": {"mains.voltage": 220, "over": 60}},
    )
    before = bench["ups1.battery_charge"]
    bench.step(300)
    assert bench["ups1.fault_voltage"] == pytest.approx(175, abs=12)
    assert bench["ups1.battery_charge"] < before


def test_what_is_set_ends_a_ramp_of_the_same() -> None:
    """The newer wins, for one phase or for all."""
    bench = Bench()
    bench.start(
        {"at": 0, "ramp": {"mains.voltage": 180, "mains.frequency": 49, "over": 100}},
        {"at": 50, "set": {"mains.voltage": 230}},
    )
    bench.step(100)
    assert (bench["mains.voltage_s"], bench["mains.frequency"]) == (230, 49)


def test_a_fault_lasts_as_long_in_the_world() -> None:
    """At any speed; and what is set for longer ends with a later step."""
    bench = Bench()
    bench.start(
        {"at": 0, "fault": {"face": "etc", "busy": True, "for": 60}},
        {"at": 10, "fault": [{"face": "ups-tcp", "delay": 2}, {"face": "etc", "code": "1002"}]},
        {"at": 20, "fault": [{"face": "ups-tcp"}, {"face": "etc", "refuse": True, "for": 5}]},
    )
    assert bench.faults.of(ETC).busy
    bench.runner.step(10)
    assert (bench.faults.of(ETC).code, bench.faults.of(UPS_TCP).delay) == ("1002", 2.0)
    bench.runner.step(10)
    assert (bench.faults.of(ETC).refuse, bench.faults.of(UPS_TCP)) == (True, NO_FAULTS)
    bench.runner.step(4.9)
    assert bench.faults.of(ETC).refuse
    bench.runner.step(0.2)
    assert bench.faults.of(ETC) == NO_FAULTS
    assert bench.shown["state"] == "done"


def test_a_stop_ends_its_faults_and_leaves_the_world() -> None:
    """Faults that another client set meanwhile stay, too."""
    bench = Bench()
    bench.start(
        {
            "at": 0,
            "set": {"mains.voltage": 0},
            "ramp": {"cab1.outside_temperature": 40, "over": 1000},
            "fault": [
                {"face": "etc", "busy": True, "for": 900},
                {"face": "ups-tcp", "busy": True, "for": 900},
            ],
        },
        {"at": 900, "set": {"mains.voltage": 220}},
    )
    bench.step(10)
    bench.faults.put(UPS_TCP, {"delay": 1.0})
    bench.runner.stop()
    assert bench.shown["state"] == "stopped"
    outside = bench["cab1.outside_temperature"]
    bench.step(2000)
    assert (bench["mains.voltage_r"], bench["cab1.outside_temperature"]) == (0, outside)
    assert bench.faults.of(ETC) == NO_FAULTS
    assert bench.faults.of(UPS_TCP).delay == 1.0
    bench.runner.stop()
    assert bench.shown["state"] == "stopped"


def test_one_at_a_time_and_again_after_it() -> None:
    """A second run begins at its own zero, with a number of its own."""
    bench = Bench()
    bench.start({"at": 0}, {"at": 10, "set": {"cab1.water": True}})
    with pytest.raises(CannotStart, match="is running"):
        bench.start({"at": 0})
    bench.step(50)
    bench.world.change({"cab1.water": False})
    bench.start({"at": 0}, {"at": 10, "set": {"cab1.water": True}})
    assert (bench.shown["run"], bench.shown["elapsed"]) == (2, 0)
    bench.step(9)
    assert bench["cab1.water"] is False
    bench.step(1)
    assert bench["cab1.water"] is True


def test_a_world_that_is_too_fast_is_refused() -> None:
    """What is expected would not hold there."""
    bench = Bench(speed=61)
    with pytest.raises(CannotStart, match="a speed above 0 and at most 60, not for 61"):
        bench.start({"at": 0}, fastest=60)
    bench.start({"at": 0}, fastest=61)


def test_a_run_may_have_a_speed_of_its_own() -> None:
    """The world runs so fast until its end, and then as before."""
    bench = Bench(speed=2)
    stepped: Any = bench.runner
    stepper = Stepper(stepped, bench.clock, lambda: bench.runner.speed)
    stepper.startService()
    ask = Served(bench)
    begun = ask("POST", "/", {"name": "smoke", "speed": 60}).json["scenario"]
    assert (begun["speed"], bench.runner.speed) == (60, 60)
    bench.clock.pump([0.1] * 51)
    assert bench.shown["state"] == "done"
    assert (bench.shown["speed"], bench.runner.speed) == (60, 2)
    before = bench.world.elapsed_s
    bench.clock.pump([0.1] * 10)
    assert bench.world.elapsed_s - before == pytest.approx(2)
    stepper.stopService()


def test_what_the_world_does_not_take_ends_the_run() -> None:
    """A door that was locked meanwhile cannot be opened: the run fails, and its faults end."""
    bench = Bench()
    bench.start(
        {"at": 0, "set": {"cab1.turn_key_front_door": True}},
        {"at": 5, "fault": {"face": "etc", "busy": True, "for": 100}},
        {"at": 60, "set": {"cab1.front_door": "open"}},
        {"at": 70, "set": {"cab1.water": True}},
    )
    bench.step(100)
    assert bench.shown["state"] == "failed"
    assert "step 3: cab1.front_door: it is locked" in bench.shown["error"]
    assert (bench["cab1.water"], bench.faults.of(ETC)) == (False, NO_FAULTS)
    assert bench.world.elapsed_s == pytest.approx(100)


def test_expectations_are_shown_with_the_time_that_counts() -> None:
    """As they were given; `since` and `due` once their step is done, by the time of day."""
    bench = Bench()
    first = {"alarm": "ups1.mains-abnormal", "within": 5}
    second = {"point": "ups1.state", "is": "line", "within": 2}
    bench.start({"at": 0, "expect": first}, {"at": 10, "expect": [second]}, name="n", en="e")
    assert bench.shown["expectations"] == [
        {
            "step": 1,
            "at": 0.0,
            **first,
            "since": "2026-09-21T22:13:20.000+08:00",
            "due": "2026-09-21T22:13:25.000+08:00",
        },
        {"step": 2, "at": 10.0, **second, "since": None, "due": None},
    ]
    bench.step(10)
    assert bench.shown["expectations"][1]["due"] == "2026-09-21T22:13:32.000+08:00"
    assert (bench.shown["name"], bench.shown["en"], bench.shown["zh"]) == ("n", "e", "")


def test_the_white_list_of_the_platform() -> None:
    """A step gives the platform its white list."""
    card = {"cardId": "1", "validTime": "2020-01-01 00:00:00", "invalidTime": "2030-01-01 00:00:00"}
    bench = Bench()
    bench.start({"at": 1, "cards": {"version": "20260101000000", "cards": [card]}})
    offered = [bench.platform.cards]
    bench.step(1)
    offered.append(bench.platform.cards)
    assert [cards and cards.version for cards in offered] == [None, "20260101000000"]


def test_it_goes_with_the_steps_of_the_twin() -> None:
    """The twin's own clock drives it, as fast as the world runs."""
    bench = Bench(speed=60)
    stepped: Any = bench.runner
    stepper = Stepper(stepped, bench.clock, lambda: 60.0)
    stepper.startService()
    bench.start({"at": 0}, {"at": 600, "set": {"cab1.water": True}})
    bench.clock.pump([0.1] * 99)
    before = bench["cab1.water"]
    bench.clock.pump([0.1] * 2)
    assert (before, bench["cab1.water"]) == (False, True)
    stepper.stopService()


@pytest.mark.parametrize("name", scenario_names())
def test_each_scenario_goes_to_its_end(name: str) -> None:
    """The world takes each in its course, and no fault is left; a day is not run through here."""
    bench = Bench()
    bench.world.cabinet.doors.admits = lambda card_id: True
    scenario = load_scenario(name)
    bench.runner.start(scenario)
    bench.runner.step(min(scenario.length_s, 700.0))
    assert bench.shown["error"] is None
    assert bench.shown["state"] == ("done" if scenario.length_s <= 700 else "running")
    bench.runner.stop()
    assert all(bench.faults.of(face) == NO_FAULTS for face in (ETC, UPS_TCP))


# -- the control API


class Served:
    """The part of the control API, by itself."""

    def __init__(self, bench: Bench) -> None:
        control = ScenarioControl(bench.runner)
        self.site = bounded_site(control.app.resource(), bench.clock, Limits(), Counter())

    def __call__(self, method: str, path: str, body: Any = b"", **headers: str) -> Any:
        return http(self.site, method, path, body, headers)


def test_a_scenario_is_started_shown_and_stopped() -> None:
    """By its name, or as steps; a second one is refused while it runs."""
    bench = Bench()
    ask = Served(bench)
    assert ask("GET", "/").json == {"scenario": None}
    begun = ask("POST", "/", {"name": "mains-failure"})
    assert (begun.status, begun.json["scenario"]["state"]) == (200, "running")
    assert ask("GET", "/").json == begun.json
    again = ask("POST", "/", {"steps": [{"at": 0}]})
    assert (again.status, again.json["error"]["code"]) == (409, "scenario-running")
    assert bench["mains.voltage_r"] == 0
    assert ask("DELETE", "/").json["scenario"]["state"] == "stopped"
    own = ask("POST", "/", {"name": "mine", "steps": [{"at": 0, "set": {"cab1.water": True}}]})
    assert (own.json["scenario"]["name"], own.json["scenario"]["state"]) == ("mine", "done")
    assert bench["cab1.water"] is True


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "bad-scenario"),
        ({"name": 5}, 400, "bad-scenario"),
        ({"name": "smoke", "quick": 1}, 400, "bad-scenario"),
        ({"name": "smoke", "speed": "1"}, 400, "bad-scenario"),
        ({"name": "smoke", "speed": True}, 400, "bad-scenario"),
        ({"name": "smoke", "speed": 10**400}, 400, "bad-scenario"),
        ({"name": "smoke", "speed": 0}, 409, "too-fast"),
        ({"name": "smoke", "speed": -1}, 409, "too-fast"),
        ({"name": "smoke", "speed": 61}, 409, "too-fast"),
        ({"steps": [{"at": 0}], "speed": 3601}, 409, "too-fast"),
        ({"name": "smoke-and-mirrors"}, 404, "unknown-scenario"),
        ({"name": "hot-summer-day/.."}, 404, "unknown-scenario"),
        ({"steps": []}, 400, "bad-scenario"),
        ({"steps": [{"at": 0, "set": {"mains.volts": 1}}]}, 400, "bad-scenario"),
        ({"steps": [{"at": 0}], "fastest": 0.5}, 409, "too-fast"),
        ("no JSON", 400, "not-json"),
    ],
)
def test_what_cannot_run_is_refused(body: Any, status: int, code: str) -> None:
    """With the error's shape; nothing runs, and nothing has changed."""
    bench = Bench()
    answer = Served(bench)("POST", "/", body)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert bench.runner.shown() is None


def test_a_page_of_another_site_may_not() -> None:
    """A browser that is lured cannot switch the mains off."""
    ask = Served(Bench())
    for method in ("POST", "DELETE"):
        assert ask(method, "/", {"name": "smoke"}, Origin="http://evil.example").status == 403


def test_the_library_is_shown() -> None:
    """All with titles and length; one with its steps, as it was written."""
    ask = Served(Bench())
    found = ask("GET", "/library").json["scenarios"]
    assert [each["name"] for each in found] == scenario_names()
    assert found[0].keys() == {"name", "en", "zh", "length", "fastest"}
    smoke = ask("GET", "/library/smoke").json
    assert smoke["steps"][0]["set"] == {"cab1.smoke": True}
    assert (smoke["length"], smoke["fastest"]) == (300.0, 60.0)
    assert ask("GET", "/library/fire").status == 404
