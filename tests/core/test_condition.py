"""Conditions on points: what is one, and what fulfils it."""

import pytest

from twisted_gantry.core.condition import Condition
from twisted_gantry.wire.reading import Value


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("ups1.battery_charge < 30", 29.5, True),
        ("ups1.battery_charge<30", 30.0, False),
        ("ups1.battery_charge >= 30", 30, True),
        ("ups1.state == battery", "battery", True),
        ('ups1.state != "line"', "line", False),
        ("ups1.mains_abnormal == false", False, True),
        ("ups1.mains_abnormal", True, True),
        ("ups1.mains_abnormal", 1, None),
        ("ups1.battery_charge < 30", True, None),
        ("ups1.battery_charge < 30", "low", None),
        ("ups1.battery_charge < 30", None, None),
    ],
)
def test_conditions(text: str, value: Value, holds: bool | None) -> None:
    """A condition compares values of one type; for any other value the result is unknown."""
    condition = Condition.parse(text)
    assert condition.point.startswith("ups1.")
    assert condition.holds(value) is holds


@pytest.mark.parametrize(
    "text",
    ["", "ups1.x <", "< 3", "ups1.x = 3", "ups1.x < low", "ups1.x < true", "a b", "x < 1 < 2"],
)
def test_what_is_no_condition(text: str) -> None:
    """A text that is none is refused."""
    with pytest.raises(ValueError, match=r"condition|compares"):
        Condition.parse(text)
