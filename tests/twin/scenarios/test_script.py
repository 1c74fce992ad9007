"""Scenarios as documents: what can be written, and what is refused, all at once."""

import tomllib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_gantry.twin.scenarios import script

WANTED = {
    "air-conditioner-fails",
    "battery-worn-out",
    "bms-trips",
    "brown-out",
    "car-arrives",
    "card-entry",
    "card-hangs",
    "cloud-flaps",
    "door-forced",
    "everything-at-once",
    "flood",
    "hot-summer-day",
    "lightning",
    "mains-failure",
    "overload",
    "phase-loss",
    "platform-down-for-a-day",
    "smoke",
    "ups-goes-dark",
}


def steps(*given: dict[str, Any]) -> dict[str, Any]:
    return {"steps": list(given)}


def complaints(document: dict[str, Any], name: str = "") -> list[str]:
    """Return what is said of a document that is refused."""
    with pytest.raises(script.ScenarioError) as caught:
        script.read_scenario(document, name)
    return str(caught.value).split("\n")


def test_the_twin_comes_with_these() -> None:
    """Each has a title in both languages, a speed, steps, and something that is expected."""
    assert set(script.scenario_names()) == WANTED
    for name in script.scenario_names():
        scenario = script.load_scenario(name)
        assert scenario.name == name
        assert scenario.en.isascii()
        assert not scenario.zh.isascii()
        assert 1 <= scenario.fastest <= 3600
        assert any(step.expect for step in scenario.steps)


def test_an_unknown_scenario_is_told_with_those_that_there_are() -> None:
    """Neither an unknown name nor a path leads to a file."""
    for name in ("mains-failur", "../scenarios/smoke", "", "smoke.toml", "Smoke"):
        with pytest.raises(script.UnknownScenario, match="there are air-conditioner-fails, "):
            script.load_scenario(name)


def test_times_are_seconds_or_a_clock() -> None:
    """A scenario ends when all has ended that it began."""
    scenario = script.read_scenario(
        steps(
            {"at": 0, "ramp": {"mains.voltage": 180, "over": "00:01:30"}},
            {"at": "00:01:00", "fault": {"face": "etc", "busy": True, "for": 20}},
        )
    )
    assert [step.at_s for step in scenario.steps] == [0.0, 60.0]
    assert scenario.length_s == 90.0


def test_everything_that_is_wrong_is_named_at_once() -> None:
    """Unknown variables, faces, keys, values out of range: each with the file and the step."""
    wrong = complaints(
        {
            "en": 5,
            "speeed": 1,
            "fastest": 0,
            "steps": [
                {"at": 0, "sett": {}, "set": {"mains.volts": 1, "mains.frequency": 999}},
                {"at": "1:00", "ramp": {"ups1.state": 1, "cab1.smoke": 2, "over": 0}},
                {"at": 5, "fault": [{"face": "etcc", "busy": True}, {"face": "etc", "buzy": 1}]},
                {
                    "at": 4,
                    "expect": [
                        {"alrm": "ups1.x", "within": 1},
                        {"point": "ups1.state", "within": 1},
                        {"report": "cabinetStatus.elec.status", "is": "0", "within": 0},
                    ],
                },
            ],
        },
        "storm",
    )
    text = "\n".join(wrong)
    assert all(each.startswith("storm: ") for each in wrong)
    for part in (
        "storm: there is no key 'speeed'",
        "storm: en: must be a text",
        "storm: fastest: must be a number above 0",
        "step 1: there is no key 'sett'",
        "step 1: set: mains.volts: there is no such variable; mains.frequency: must be 0 to 100",
        'step 2: at: must be 0 to 2.6784e+06 s, or "HH:MM:SS"',
        "step 2: ramp: over: must be a time above 0",
        "step 2: ramp: ups1.state: follows from the others",
        "step 3: fault: no face 'etcc'",
        "step 3: fault: Object contains unknown field `buzy`",
        "step 4: at: steps stand in the order of their times",
        "step 4: expect: must have one of alarm, ",
        "step 4: expect: there is no key 'alrm'",
        "step 4: expect: point: needs one of above, below, is",
        "step 4: expect: within: must be above 0",
        "step 4: expect: report: 'cabinetStatus.elec.status' is no value of a report",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ({"set": [1]}, "set: must be a table"),
        ({"ramp": 1}, "ramp: must be a table"),
        ({"ramp": {"over": 5}}, "ramp: names no variable"),
        ({"ramp": {"mains.voltage": "low", "over": 5}}, "'mains.voltage': must be a number"),
        ({"ramp": {"cfos.E1.car_phases": 3, "over": 5}}, "must be one of 1, 3"),
        ({"fault": "etc"}, "fault: must be a table"),
        ({"fault": {"busy": True}}, "fault: no face ''"),
        ({"fault": {"face": "etc", "for": 5}}, "there is nothing that lasts"),
        ({"fault": {"face": "etc", "busy": True, "for": -1}}, "fault: for: must be a time"),
        ({"fault": {"face": "cfos", "code": "1"}}, "code has no meaning for cfos"),
        ({"fault": {"face": "etc", "busy": True}}, "give it `for`, or end it in a later step"),
        ({"fault": [{"face": "etc"}] * 101}, "fault: at most 100"),
        ({"cards": {"version": "1", "cards": []}}, "cards: "),
        ({"cards": 5}, "cards: must be a table"),
        ({"expect": 5}, "expect: must be a table"),
        ({"expect": {"alarm": "x", "within": 1}}, "alarm: 'x' is no such name"),
        ({"expect": {"alarm": "a.b", "cleared": "a.b", "within": 1}}, "must have one of"),
        ({"expect": {"alarm": "a.b", "is": 1, "within": 1}}, "there is no key 'is' beside alarm"),
        ({"expect": {"point": "a.b", "is": 1, "above": 1, "within": 1}}, "needs one of"),
        ({"expect": {"point": "a.b", "above": True, "within": 1}}, "above: must be a number"),
        ({"expect": {"point": "a.b", "is": [], "within": 1}}, "is: must be a text"),
        ({"expect": {"device": "a", "state": "up", "within": 1}}, "state: must be one of"),
        ({"expect": {"device": "a", "state": [], "within": 1}}, "state: must be one of"),
        ({"expect": {"report": 5, "is": "0", "within": 1}}, "report: '' is no value"),
        ({"expect": {"alarm": "a.b", "within": float("nan")}}, "within: must be"),
        ({"expect": {"alarm": "a.b"}}, "within: must be"),
        ({"set": {"cab1.front_door": "open"}}, "it is locked"),
    ],
)
def test_what_cannot_be_is_refused(step: dict[str, Any], why: str) -> None:
    """The reason tells what would do."""
    assert any(why in each for each in complaints(steps({"at": 0, **step}))), why


@pytest.mark.parametrize("given", [None, [], {}, [5], [{"at": 0}] * 1001, [{"at": None}]])
def test_what_are_no_steps_is_refused(given: Any) -> None:
    """Neither nothing nor too many."""
    complaints({"steps": given})


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("cabinetStatus.elec[0].status", True),
        ("cabinetStatus.doors.frontDoorOpenIllegally", True),
        ("cabinetStatus.thunderSpd[1].lightningCount", True),
        ("cabinetStatus.id", True),
        ("computerStatus[0].cpuUsage", True),
        ("cabinetStatus.doors[0].frontDoorClosed", False),
        ("cabinetStatus.elec[0].volts", False),
        ("cabinetStatus.elec[0]", False),
        ("cabinetStatus", False),
        ("computerStatus.cpuUsage", False),
        ("cabinetControl.cmd", False),
        ("a" * 200, False),
    ],
)
def test_a_report_has_the_names_of_the_interface(path: str, good: bool) -> None:
    """A path that no report has is a mistake, not something that never comes."""
    document = steps({"at": 0, "expect": {"report": path, "is": "0", "within": 1}})
    if good:
        assert script.read_scenario(document).steps[0].expect[0].given["report"] == path
    else:
        complaints(document)


def test_what_opens_a_door_comes_first() -> None:
    """Steps are judged in their order: a card, then the door."""
    script.read_scenario(
        steps(
            {"at": 0, "set": {"cab1.present_card": "1"}},
            {"at": 1, "set": {"cab1.front_door": "open"}},
        )
    )


def test_a_fault_may_be_ended_by_a_later_step() -> None:
    """A face alone ends its faults."""
    scenario = script.read_scenario(
        steps(
            {"at": 0, "fault": {"face": "etc", "busy": True}}, {"at": 9, "fault": {"face": "etc"}}
        )
    )
    assert [fault.settings for step in scenario.steps for fault in step.faults] == [
        {"busy": True},
        {},
    ]


def test_many_complaints_are_cut() -> None:
    """A long document of mistakes does not make a longer answer."""
    wrong = complaints(steps(*({"at": 0, "x" * 500: 1} for _ in range(500))))
    assert len(wrong) == 51
    assert wrong[-1] == "and 450 more"
    assert all(len(each) < 400 for each in wrong)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("at", "set", "ramp", "over", "fault", "face", "for", "cards", "version"),
                    *(
                        "expect",
                        "alarm",
                        "point",
                        "report",
                        "is",
                        "above",
                        "within",
                        "state",
                        "delay",
                    ),
                    *("mains.voltage", "cab1.smoke", "busy", "device"),
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["name", "en", "fastest", "steps"]), _JSON))
def test_whatever_comes_is_read_or_refused(document: dict[str, Any]) -> None:
    """No document raises anything else."""
    with suppress(script.ScenarioError):
        script.read_scenario(document)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["at", "set", "ramp", "fault", "cards", "expect"]), _JSON)
    )
)
def test_whatever_steps_come_are_read_or_refused(given_steps: list[dict[str, Any]]) -> None:
    """Nor do any steps."""
    with suppress(script.ScenarioError):
        script.read_scenario({"steps": given_steps})


def test_toml_and_json_are_the_same() -> None:
    """A TOML text is the document that the control API takes."""
    text = '[[steps]]\nat = 0\nset = { "mains.voltage" = 0 }\n'
    assert script.read_scenario(tomllib.loads(text)).steps[0].values == {"mains.voltage": 0}
