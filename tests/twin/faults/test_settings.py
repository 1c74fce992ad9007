"""The faults of a face: what can be set, for how long, and how the dice fall."""

import random
from typing import Any

import pytest
from twisted.internet.task import Clock

from twisted_gantry.twin.faults.settings import (
    CABINET,
    CFOS,
    EMS,
    ETC,
    FACES,
    FOGSLINK,
    MODBUS,
    UPS_HTTP,
    UPS_TCP,
    FaultError,
    Faults,
    FaultSettings,
    UnknownFace,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def faults(clock: Clock) -> Faults:
    """No faults yet."""
    return Faults(clock.seconds, random.Random(1))


def test_all_that_is_promised_can_be_set(faults: Faults) -> None:
    """The example of the control API is taken as it stands, for the platform."""
    given = {
        "delay": 2.0, "drop": 0.1, "garbage": 0.05, "busy": True, "refuse": True,
        "http_status": 503, "code": "1005", "for": 30,
    }  # fmt: skip
    assert faults.put(ETC, given) == FaultSettings(
        delay=2.0, drop=0.1, garbage=0.05, busy=True, refuse=True, http_status=503, code="1005",
        lasting=30.0,
    )  # fmt: skip
    assert faults.of(UPS_TCP) == FaultSettings()


@pytest.mark.parametrize(
    "bad",
    [
        {"delai": 1},
        {"delay": -1},
        {"delay": "1"},
        {"delay": True},
        {"drop": 1.1},
        {"garbage": -0.1},
        {"busy": 1},
        {"frozen": 1},
        {"half": 1.1},
        {"duplicate": -1},
        {"stale": "1"},
        {"wrong_digest": 2},
        {"drip": 0},
        {"drip": 1_000_001},
        {"refuse": "yes"},
        {"http_status": 200},
        {"http_status": 600},
        {"code": 1005},
        {"code": "10x5"},
        {"code": "201"},
        {"for": 0},
        {"lasting": 3},
    ],
)
def test_a_bad_setting_is_refused_and_changes_nothing(faults: Faults, bad: dict[str, Any]) -> None:
    """Unknown names, wrong types and values out of range are errors; what was set stays."""
    before = faults.put(ETC, {"busy": True})
    with pytest.raises(FaultError):
        faults.put(ETC, bad)
    assert faults.of(ETC) == before


def test_what_a_face_cannot_do_is_refused(faults: Faults) -> None:
    """A card has no HTTP status, and its codes have three digits."""
    with pytest.raises(FaultError, match="http_status has no meaning for ups-tcp"):
        faults.put(UPS_TCP, {"http_status": 503})
    with pytest.raises(FaultError, match="code"):
        faults.put(UPS_TCP, {"code": "1005"})
    assert faults.put(UPS_TCP, {"code": "201"}).code == "201"


@pytest.mark.parametrize(
    ("setting", "faces"),
    [
        ({"half": 0.5}, set(FACES)),
        ({"drip": 10}, set(FACES)),
        ({"frozen": True}, set(FACES)),
        ({"duplicate": 0.5}, {UPS_TCP, UPS_HTTP, CABINET, ETC, FOGSLINK, MODBUS}),
        ({"wrong_digest": 0.5}, {CABINET, ETC}),
        ({"stale": 0.5}, {CABINET, ETC}),
        ({"http_status": 503}, {UPS_HTTP, CFOS, EMS, CABINET, ETC}),
    ],
)
def test_a_fault_is_one_of_the_protocol(
    faults: Faults, setting: dict[str, Any], faces: set[str]
) -> None:
    """What a protocol does not have, its face cannot spoil."""
    (name,) = setting
    for face in FACES:
        if face in faces:
            assert faults.put(face, setting) == FaultSettings(**setting)
        else:
            with pytest.raises(FaultError, match=f"{name} has no meaning for {face}"):
                faults.put(face, setting)


def test_an_unknown_face_is_refused_by_name(faults: Faults) -> None:
    """The error tells which faces there are."""
    for attempt in (lambda: faults.put("canbus", {}), lambda: faults.clear("canbus")):
        with pytest.raises(UnknownFace, match="'canbus'; there are ups-tcp, ups-http, cfos"):
            attempt()


def test_they_end_by_themselves(faults: Faults, clock: Clock) -> None:
    """After `for` seconds the faults end."""
    faults.put(ETC, {"busy": True, "for": 30})
    clock.advance(29.9)
    assert faults.of(ETC).busy
    clock.advance(0.1)
    assert faults.of(ETC) == FaultSettings()


def test_they_are_cleared_and_replaced(faults: Faults, clock: Clock) -> None:
    """A new set replaces the old one and its end; clearing ends all of it."""
    faults.put(ETC, {"busy": True, "for": 1})
    faults.put(ETC, {"delay": 3})
    clock.advance(10)
    assert faults.of(ETC) == FaultSettings(delay=3.0)
    faults.clear(ETC)
    faults.clear(ETC)
    assert faults.of(ETC) == FaultSettings()


def test_the_dice_fall_as_often_as_they_are_set_and_repeat_with_the_seed() -> None:
    """A fifth is about a fifth; equal seeds roll equally; 0 never strikes and 1 always does."""
    rolls = []
    for _ in range(2):
        faults = Faults(Clock().seconds, random.Random(5))
        rolls.append([faults.strikes(0.2) for _ in range(5000)])
        assert not any(faults.strikes(0.0) for _ in range(100))
        assert all(faults.strikes(1.0) for _ in range(100))
    assert rolls[0] == rolls[1]
    assert 900 < sum(rolls[0]) < 1100
