"""The Fogslink front: login, heartbeats, and data that is acknowledged after its commit."""

from collections import deque

import pytest
from twisted.python.failure import Failure

from tests.centre.fronts.cloud_rig import (
    API_KEY,
    BEAT,
    EQ_SN,
    GANTRY,
    T_KEY,
    Rig,
    codes,
    pack,
    single,
)
from twisted_gantry.centre.interfaces import NotStored, QueueFull
from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.store import ledger
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import ManualClock
from twisted_gantry.wire.fogslink import messages
from twisted_gantry.wire.fogslink.messages import (
    Authenticated,
    HeartbeatAnswer,
    Identified,
    encode,
)
from twisted_gantry.wire.secret import Secret


def totals(rig: Rig) -> dict[str, int]:
    found: list[dict[str, int]] = []
    rig.store.read(ledger.totals).addCallback(found.append)
    return found[0]


def keys(rig: Rig) -> list[str]:
    """Return the keys of the reports that are stored, sorted."""
    return sorted(key.split()[-1] for (key,) in rig.rows("SELECT key FROM seen"))


def test_the_way_in(rig: Rig) -> None:
    """The registry knows the eqSN and the key; the `tKey` comes with the first answer."""
    device = rig.device()
    assert device.identifies() == [Identified(eq_sn=EQ_SN, code="0", t_key=T_KEY)]
    line = encode(messages.Authenticate(eq_sn=EQ_SN, api_key=API_KEY))
    assert device.says(line) == [Authenticated(eq_sn=EQ_SN, code="0")]
    assert rig.front.online == 1
    assert device.says(BEAT, BEAT) == [HeartbeatAnswer(eq_sn=EQ_SN)] * 2


@pytest.mark.parametrize("spell", [" {} ", "0{}", "{}.0"])
def test_a_device_spells_its_number_in_any_way(rig: Rig, spell: str) -> None:
    """An eqSN is its value, as every id is; the answers have the spelling of the device."""
    device, eq_sn = rig.device(), spell.format(EQ_SN)
    assert device.identifies(eq_sn) == [Identified(eq_sn=eq_sn, code="0", t_key=T_KEY)]
    line = encode(messages.Authenticate(eq_sn=eq_sn, api_key=API_KEY))
    assert device.says(line) == [Authenticated(eq_sn=eq_sn, code="0")]
    assert rig.front.online == 1


def test_strangers_are_told_and_let_go(rig: Rig) -> None:
    """Code 2 for an unknown device, 3 for a wrong key; a pending gantry is unknown."""
    rig.register(Gantry("G1", eq_sn="9", api_key=Secret("x"), pending=True))
    rig.registry.refresh()
    for eq_sn in ("7", "9"):
        device = rig.device()
        assert device.identifies(eq_sn) == [Identified(eq_sn=eq_sn, code="2")]
        assert device.closed == "closed"
    device = rig.device()
    device.identifies()
    line = encode(messages.Authenticate(eq_sn=EQ_SN, api_key="wrong"))
    assert device.says(line) == [Authenticated(eq_sn=EQ_SN, code="3")]
    assert device.closed == "closed"
    assert rig.front.online == 0


def test_eight_comes_after_the_commit_and_not_before(rig: Rig) -> None:
    """The answers come with the commit, in the order of the data."""
    device = rig.online()
    rig.store.held = deque()
    assert device.says(pack("1", "a"), single("b"), pack("2", "c")) == []
    rig.store.commit(1)
    assert codes(device.hears()) == [("1", "8")]
    rig.store.commit()
    assert codes(device.hears()) == [("P0-C1", "8"), ("2", "8")]
    assert [each.gantry for each in rig.store.put_before] == [GANTRY] * 3
    assert [each.method for each in rig.store.put_before] == ["req200", "req201", "req200"]


def test_a_duplicate_gets_the_same_answer_and_no_second_row(rig: Rig) -> None:
    """Also on another connection, and where the number is spelt in another way."""
    assert codes(rig.online().says(pack("7", "a"))) == [("7", "8")]
    odd = pack("7", "a").replace(b'"packID":"7"', b'"packID":7.0')
    other = pack("7", "a").replace(b'"packID":"7"', b'"packID":"07"')
    assert codes(rig.online().says(pack("7", "a"), odd, other)) == [
        ("7", "8"),
        ("7", "8"),
        ("7", "8"),
    ]
    assert totals(rig) == {"stored": 1, "duplicate": 3}


def test_the_same_number_with_other_content_is_stored(rig: Rig) -> None:
    """It is a device that counts anew."""
    assert codes(rig.online().says(pack("7", "a"), pack("7", "b"))) == [("7", "8")] * 2
    assert totals(rig) == {"stored": 2}


@pytest.mark.parametrize("error", [QueueFull(), NotStored("no disk")])
def test_what_is_not_stored_gets_no_answer(rig: Rig, error: Exception) -> None:
    """The device sends the same pack again; what comes behind it is answered, heartbeats too."""
    device = rig.online()
    rig.store.broken = error
    assert device.says(pack("1", "a"), BEAT) == [HeartbeatAnswer(eq_sn=EQ_SN)]
    rig.store.broken = None
    assert codes(device.says(pack("2", "b"), pack("1", "a"))) == [("2", "8"), ("1", "8")]
    assert keys(rig) == ["1", "2"]
    assert rig.front.counts["not-stored"] == 1


def test_an_answer_waits_for_those_before_it(rig: Rig) -> None:
    """A commit out of order, a 9 and a failure change nothing in the order of the answers."""
    device = rig.online()
    rig.store.held = deque()
    broken = pack("3", "c", total=2)
    assert device.says(pack("1", "a"), pack("2", "b"), broken, BEAT) == [
        HeartbeatAnswer(eq_sn=EQ_SN)
    ]
    first = rig.store.held.popleft()
    rig.store.commit()
    assert device.hears() == []
    first[1].errback(Failure(NotStored("lost")))
    rig.clock.advance(0)
    assert codes(device.hears()) == [("2", "8"), ("3", "9")]


@pytest.mark.parametrize(
    "line",
    [
        pack("5", "a", total=2),
        pack("5", "a").replace(b'"totalSize":1', b'"totalSize":"x"'),
        pack("5", "a").replace(b'"eChan":', b'"a":'),
    ],
)
def test_a_malformed_pack_is_asked_for_again(rig: Rig, line: bytes) -> None:
    """Code 9, which the ledger counts, and nothing is stored."""
    assert codes(rig.online().says(line)) == [("5", "9")]
    assert totals(rig) == {"refused-9": 1}


def test_ten_seconds_without_a_heartbeat_end_a_session(rig: Rig) -> None:
    """The clock starts at the connection, and data does not start it anew."""
    silent, device = rig.device(), rig.online()
    rig.passes(9)
    assert device.says(BEAT) == [HeartbeatAnswer(eq_sn=EQ_SN)]
    rig.passes(1)
    assert (silent.closed, device.closed) == ("aborted", "")
    rig.passes(8)
    device.says(pack("1", "a"))
    assert device.closed == ""
    rig.passes(1)
    assert device.closed == "aborted"
    assert rig.front.counts["no-heartbeat"] == 2
    assert rig.front.connections == 0


def test_the_newer_session_of_a_device_wins(rig: Rig) -> None:
    """The older one ends, and takes nothing away from the newer one."""
    older, newer = rig.online(), rig.online()
    assert (older.closed, newer.closed) == ("closed", "")
    assert rig.front.online == 1
    assert codes(newer.says(pack("1", "a"))) == [("1", "8")]


def test_a_device_that_left_the_registry_is_let_go(rig: Rig) -> None:
    """Also one whose key was changed."""
    device = rig.online()
    rig.register(Gantry(GANTRY, eq_sn=EQ_SN, api_key=Secret("another")))
    rig.registry.refresh()
    rig.passes(1)
    assert device.closed == "closed"
    assert rig.front.counts["revoked"] == 1


def test_before_the_registry_is_known_nobody_is_refused(
    memory: InlineStore, clock: ManualClock
) -> None:
    """No code is right for a device that may be known: the connection ends without one."""
    rig = Rig(memory, clock, known=False)
    device = rig.device()
    assert device.identifies() == []
    assert device.closed == "closed"
    rig.stop()


def test_a_stop_answers_what_waits(rig: Rig) -> None:
    """Nothing more is taken; the answers leave with the commit, and then the connections end."""
    busy, idle = rig.online(), rig.device("192.0.2.2")
    rig.store.held = deque()
    busy.says(pack("1", "a"))
    stopping = rig.front.stopService()
    assert (busy.closed, idle.closed) == ("", "closed")
    assert rig.knocks() is None
    busy.says(pack("2", "b"))
    rig.store.commit()
    assert codes(busy.hears()) == [("1", "8")]
    assert busy.closed == "closed"
    rig.clock.advance(1)
    assert stopping.called
    assert rig.rows("SELECT * FROM cloud_fronts") == []
