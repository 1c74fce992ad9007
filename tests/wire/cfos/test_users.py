"""The users of cFos, their PINs, and charging rules."""

import json
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.wire.material import SECRET, checked, json_with, outcome
from twisted_gantry.wire.cfos.calls import CfosRefused
from twisted_gantry.wire.cfos.users import (
    MASKED,
    MAX_USERS,
    ChargingRule,
    Rfid,
    RuleMode,
    User,
    masked,
    user,
)
from twisted_gantry.wire.errors import BadMessage, WireError
from twisted_gantry.wire.json import dumps, loads

# The document's user, with its comments.
SAMPLE = b"""[   // array of users
 {
 "id" : "2167520770",   // unique user ID
 "name" : "wusel",   // name
 "display" : true,   // true if user may be displayed while plugged in
 "dev_ids" :    // EVSEs the user may use
 [
 "E1"
 ],
 "rfids" :
 [   // array of RFIDs
 {
 "id" : "4711",   // RFID / PIN
 "name" : "TeSt",   // Name
 "ac_auth" : true,   // true: used to authorize
 "ac_ovch" : false,  // true: used to stop charging
 "used_phases" : 7   // used to override used phases, 0 = don't override
 }
 ],
 "charging_rules" :
 [   // array of charging rules for this user
 ]
 }
 ]"""
WUSEL = User(
    id="2167520770",
    name="wusel",
    display=True,
    dev_ids=["E1"],
    rfids=[Rfid(id="4711", name="TeSt", ac_auth=True, ac_ovch=False, used_phases=7)],
    charging_rules=[],
)

rules = st.builds(
    ChargingRule,
    days=st.integers(0, 127),
    mode=st.sampled_from(RuleMode),
    current=st.none() | st.integers(-80_000, 80_000),
    enabled=st.booleans(),
    time=st.none() | st.integers(0, 1440),
    expr=st.none() | st.text(max_size=20),
)
some_users = st.builds(
    User,
    id=st.text("0123456789", max_size=10),
    name=st.text(max_size=20),
    display=st.booleans(),
    dev_ids=st.lists(st.sampled_from(["E1", "E2"]), max_size=2),
    rfids=st.lists(st.builds(Rfid, id=st.text("0123456789", min_size=1, max_size=8)), max_size=2),
    charging_rules=st.lists(rules, max_size=2),
)


def test_the_documents_user() -> None:
    """The document's list of users is read, comments and all."""
    assert [user(each) for each in loads(SAMPLE)] == [WUSEL]


def test_users_without_their_pins() -> None:
    """Shown to people, a user keeps all it came with, but for its PINs."""
    sample = loads(SAMPLE)
    sample[0]["credit"] = 5
    [shown] = masked(sample)
    assert shown["rfids"] == [
        {"id": MASKED, "name": "TeSt", "ac_auth": True, "ac_ovch": False, "used_phases": 7}
    ]
    assert (shown["credit"], shown["id"]) == (5, "2167520770")
    assert "4711" not in json.dumps(shown)


def test_no_pin_is_shown() -> None:
    """A PIN is in no repr, and in no error."""
    rfid = Rfid(id=SECRET)
    screen = StringIO()
    Console(file=screen).print(User(rfids=[rfid]))
    assert SECRET not in repr(rfid) + repr(User(rfids=[rfid])) + screen.getvalue()
    with pytest.raises(BadMessage) as caught:
        user({"rfids": [{"id": SECRET, "used_phases": SECRET}]})
    assert SECRET not in str(caught.value)


def test_ids_may_be_numbers() -> None:
    """A user's id and a PIN may come as numbers."""
    assert user({"id": 2167520770, "rfids": [{"id": 4711}]}) == User(
        id="2167520770", rfids=[Rfid(id="4711")]
    )


@checked
@given(some_users)
def test_users_come_back(each: User) -> None:
    """A user is read as it was written."""
    assert user(loads(dumps(each))) == each


def test_rules_keep_to_their_bounds() -> None:
    """A rule is read with its numbers in their units; what is out of bounds is refused."""
    read = user({"charging_rules": [{"days": 31, "mode": 2, "solar": 6000, "new_key": 1}]})
    assert read.charging_rules == [ChargingRule(days=31, mode=RuleMode.SOLAR, solar=6000)]
    for bad in ({"days": 128}, {"mode": 6}, {"current": 10**7}, {"time": -1}, {"udur": "x"}):
        with pytest.raises(BadMessage):
            user({"charging_rules": [bad]})


def test_answers_that_are_none() -> None:
    """An error text, too many users, a user that is none: refused."""
    with pytest.raises(CfosRefused, match="no rights"):
        masked("no rights")
    with pytest.raises(BadMessage, match="users, more than"):
        masked([{}] * (MAX_USERS + 1))
    for bad in (5, {"rfids": 5}, {"rfids": [5]}):
        with pytest.raises(BadMessage):
            masked([bad])


@checked
@given(json_with("id", "rfids", "name", "dev_ids", "charging_rules", "mode", "days"))
def test_any_user(node: Any) -> None:
    """Any JSON is a user or a WireError."""
    outcome(lambda: user(node), WireError)
    outcome(lambda: masked([node]), WireError)
