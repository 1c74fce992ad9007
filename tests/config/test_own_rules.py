"""`[[alarm]]`: every mistake is named, with its line and key."""

import pytest

from tests.config.test_full import FULL
from twisted_gantry.config.load import load
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.own_rules import OwnRule
from twisted_gantry.settings.tables import ConfigError

CABINET = """
[[cabinet]]
id = "1"
elec = ["ups1", "cfos.M1"]
ups = "ups1"
[[cabinet]]
id = "2"
elec = "cab1"
rectifier = "cab1"
"""
GOOD = {
    "name": '"hot"',
    "when": '"ups1.temperature > 45"',
    "clear": '"ups1.temperature < 42"',
    "for": "60",
    "severity": '"critical"',
    "message": '"the UPS is hot"',
    "message_zh": '"UPS过热"',
}


def table(**changes: str) -> str:
    """Return a rule with some keys changed, `for_` for `for`; an empty value leaves a key out."""
    keys = {**GOOD, **{key.rstrip("_"): value for key, value in changes.items()}}
    return "[[alarm]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items() if value)


def rules(*tables: str) -> tuple[OwnRule, ...]:
    return load(FULL + CABINET + "".join(tables)).own_rules


def problems(*tables: str) -> list[tuple[str, str]]:
    """Return what is wrong, by its key."""
    with pytest.raises(ConfigError) as caught:
        rules(*tables)
    return [(problem.key, problem.message) for problem in caught.value.problems]


def test_an_own_rule_is_read() -> None:
    """The example of the documentation."""
    [rule] = rules(table())
    assert (rule.name, rule.delay, rule.severity) == ("hot", 60.0, Severity.CRITICAL)
    assert (rule.en, rule.zh, rule.group) == ("the UPS is hot", "UPS过热", "")
    assert rule.clear is not None
    assert (rule.when.point, rule.clear.sign, rule.clear.bound) == ("ups1.temperature", "<", 42.0)


def test_most_keys_may_be_left_out() -> None:
    """A flag alone is a condition; a rule warns, at once, in one language."""
    [rule] = rules(table(when='"ups1.overload"', clear="", for_="", severity="", message_zh=""))
    assert (rule.delay, rule.severity, rule.clear) == (0.0, Severity.WARNING, None)
    assert (rule.en, rule.zh) == ("the UPS is hot", "the UPS is hot")


@pytest.mark.parametrize(
    ("changes", "key", "text"),
    [
        ({"name": ""}, "name", "is missing"),
        ({"name": '"a b"'}, "name", "letters, digits, _ and -"),
        ({"name": '"过热"'}, "name", "letters, digits, _ and -"),
        ({"name": '"a.b"'}, "name", "letters, digits, _ and -"),
        ({"name": "1"}, "name", "it is 1"),
        ({"when": ""}, "when", "is missing"),
        ({"when": '"ups1.temperature >"'}, "when", "no condition such as"),
        ({"when": '"ups9.temperature > 1"'}, "when", "there is no device 'ups9'"),
        ({"when": '"ups1.temperatur > 1"'}, "when", "ups1 has no point 'temperatur'"),
        ({"when": '"ups1.temperature"'}, "when", "is a number: compare it with one"),
        ({"when": '"ups1.temperature == hot"'}, "when", "is a number: compare it with one"),
        ({"when": '"ups1.state > on"'}, "when", "> compares numbers"),
        ({"when": '"ups1.state > 3"'}, "when", "ups1.state is text"),
        ({"when": '"ups1.state"'}, "when", "ups1.state is text"),
        (
            {"when": '"ups1.overload == 1"'},
            "when",
            "write ups1.overload, or",
        ),
        ({"when": '"cab1.elec.1.status == 0"'}, "when", "is true or false"),
        ({"when": '"cab1.elec.1.voltage == low"'}, "when", "is a number"),
        ({"when": '"cfos.M1.power == high"'}, "when", "is a number"),
        ({"when": '"cfos.E1.state == 3"'}, "when", "is text"),
        ({"when": '"cab1.smoke_sensor.is_warning == 1"'}, "when", "is true or false"),
        ({"when": "45"}, "when", "expected str"),
        ({"clear": '"ups1.temperatur < 42"'}, "clear", "ups1 has no point"),
        ({"clear": '"ups1.temperature < 46"'}, "clear", "both hold at 45.5"),
        ({"clear": "true"}, "clear", "expected str"),
        ({"for_": "-1"}, "for", ">= 0"),
        ({"for_": "86401"}, "for", "<= 86400"),
        ({"for_": '"60"'}, "for", "expected float"),
        ({"severity": '"bad"'}, "severity", "must be one of critical, warning"),
        ({"message": ""}, "message", "is missing"),
        ({"message": '" "'}, "message", "must be one line of text"),
        ({"message": r'"a\nb"'}, "message", "must be one line of text"),
        ({"message": f'"{"x" * 201}"'}, "message", "at most 200"),
        ({"message_zh": '""'}, "message_zh", "must be one line of text"),
        ({"report": '"yes"'}, "report", "expected bool"),
        ({"mesage": '"x"'}, "mesage", "did you mean message?"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, str], key: str, text: str) -> None:
    """Each mistake alone: its key, and what is wrong."""
    [(found, message)] = problems(table(**changes))
    assert found == f"alarm[1].{key}"
    assert text in message


def test_all_mistakes_are_named_at_once() -> None:
    """Each with its line, also beside others in the same table."""
    other = table(when='"ups1.x > 1"', severity='"none"', message="")
    with pytest.raises(ConfigError) as caught:
        rules(table(), other)
    lines = (FULL + CABINET + table()).count("\n")
    places = [(each.key, (each.line or 0) - lines) for each in caught.value.problems]
    assert sorted(places) == [
        ("alarm[2].message", 1),
        ("alarm[2].name", 2),
        ("alarm[2].severity", 6),
        ("alarm[2].when", 3),
    ]
    with pytest.raises(ConfigError, match="begun with"):
        load(FULL.replace("[gantry]", "alarm = 1\n[gantry]"))


def test_no_device_is_called_rule() -> None:
    """The name belongs to the alarms of own rules."""
    with pytest.raises(ConfigError, match="'rule' is taken by the program itself"):
        load(FULL.replace('name = "bms1"', 'name = "rule"'))


@pytest.mark.parametrize(
    ("point", "group"),
    [
        ("ups1.temperature > 45", "ups"),
        ("ups1.input_voltage_r < 180", "elec"),
        ("ups1.mains_abnormal", "elec"),
        ("cfos.M1.power > 9000", "elec"),
        ("cab1.elec.1.voltage < 180", "elec"),
        ("cab1.rectifier.2.output_current > 20", "rectifier"),
    ],
)
def test_a_report_finds_its_group(point: str, group: str) -> None:
    """With `report` the text goes to the row of the device, in the group that fits the point."""
    [rule] = rules(table(when=f'"{point}"', clear="", report="true"))
    assert rule.group == group


@pytest.mark.parametrize(
    "point",
    [
        "bms1.alarm_count > 0",
        "cfos.M2.power > 9000",
        "cab1.ups.1.temperature > 40",
        "cab1.smoke_sensor.is_warning",
        "cab1.air_conditioners.1.status == false",
        "cab1.clock_good == false",
    ],
)
def test_what_the_platform_has_no_place_for_is_told(point: str) -> None:
    """A device in no row with a `warningMsg` cannot be reported."""
    [(key, message)] = problems(table(when=f'"{point}"', clear="", report="true"))
    assert key == "alarm[1].report"
    assert "the platform has no place for" in message


def test_a_reported_text_has_no_comma() -> None:
    """The platform would read one text as two."""
    found = problems(table(message_zh='"热,很热"', report="true"))
    assert found == [("alarm[1].message_zh", "with report = true it must not hold a comma")]
