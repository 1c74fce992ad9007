"""Numbers and flags in every spelling."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.material import checked, json_with
from twisted_gantry.wire.numbers import decimal, flag, number, text, whole

ONE = [1, 1.0, "1", "1.0", "01", " 1 ", "+1", "1.", "10e-1", "1\r"]
NO_NUMBER: list[Any] = [
    *(None, True, [], {}, "", " ", "NaN", "nan", "inf", "-Infinity", "1e999", "1_0", "0x1", "1,0"),
    *("١", "1 2", "one", "--1", float("nan"), float("inf"), "9" * 5000),
]


@pytest.mark.parametrize("spelling", ONE)
def test_every_spelling_of_one_is_one(spelling: Any) -> None:
    """Numbers, whole numbers and flags are their value, however they are spelt."""
    assert number(spelling) == 1
    assert whole(spelling) == 1
    assert flag(spelling) is True


@pytest.mark.parametrize("spelling", [True, "true", "TRUE", " True "])
def test_true_is_a_flag_and_no_number(spelling: Any) -> None:
    assert flag(spelling) is True
    assert number(spelling) is None
    assert whole(spelling) is None


@pytest.mark.parametrize("spelling", [0, -0.0, "0", "00", "false", False, "0.0"])
def test_every_spelling_of_zero_is_false(spelling: Any) -> None:
    assert flag(spelling) is False


@pytest.mark.parametrize("spelling", NO_NUMBER)
def test_what_is_no_number(spelling: Any) -> None:
    """Nothing else is taken for a number, a flag neither; no value raises an error."""
    assert number(spelling) is None
    if not isinstance(spelling, bool):
        assert flag(spelling) is None


@pytest.mark.parametrize("spelling", [2.5, "2.5", "-0.1", 1e300, "1e300"])
def test_what_is_no_whole_number(spelling: Any) -> None:
    assert number(spelling) is not None
    assert whole(spelling) is None
    assert flag(spelling) is None


@pytest.mark.parametrize("spelling", [2, -1, "2", 255, "10"])
def test_other_numbers_are_no_flag(spelling: Any) -> None:
    assert flag(spelling) is None


@pytest.mark.parametrize(
    ("given_", "means"),
    [(1001.0, "1001"), (1001, "1001"), (" a ", "a"), (0.5, "0.5"), (1e20, "1e+20"), (-0.0, "0")],
)
def test_text(given_: Any, means: str) -> None:
    """Numbers become their shortest text."""
    assert text(given_) == means


@pytest.mark.parametrize("node", [None, True, [], {}])
def test_what_is_no_text(node: Any) -> None:
    assert text(node) is None


def test_numbers_past_all() -> None:
    """An integer past every double is no number; one of thousands of digits has no text."""
    assert number(10**5000) is None
    assert whole(10**5000) == 10**5000
    assert text(10**5000) is None


@given(json_with("a"))
@checked
def test_nothing_raises(node: Any) -> None:
    """Whatever was decoded, each reader returns its type or None."""
    assert isinstance(number(node), float | None)
    assert isinstance(whole(node), int | None)
    assert isinstance(flag(node), bool | None)
    assert isinstance(text(node), str | None)


@given(st.floats(allow_nan=False, allow_infinity=False))
@checked
def test_decimal_text_is_the_number(value: float) -> None:
    """A number and its text are one."""
    written = decimal(value)
    assert written is not None
    assert number(written) == value
    assert math.isfinite(float(written))
