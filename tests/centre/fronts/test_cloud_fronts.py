"""Several Fogslink fronts over one database: sessions, take-overs, and settings of channels."""

from typing import Any

from tests.centre.fronts.cloud_rig import BEAT, EQ_SN, GANTRY, Rig
from twisted_gantry.centre.interfaces import NotStored
from twisted_gantry.centre.store import channel_wishes, cloud_sessions
from twisted_gantry.centre.store.channel_wishes import ChannelWish
from twisted_gantry.centre.store.cloud_sessions import LEASE, Connected
from twisted_gantry.wire.fogslink.messages import Configure, Configured, encode


def connected(rig: Rig) -> list[Connected]:
    """Return the session of the gantry, if there is one."""
    found: list[Connected] = []
    rig.store.read(lambda s: cloud_sessions.connected(s, [GANTRY])).addCallback(found.extend)
    return found


def trouble(rig: Rig) -> str | None:
    return rig.front.trouble


def asks(rig: Rig, **given: str) -> None:
    wish: Any = given
    rig.store.write(lambda s: channel_wishes.ask(s, GANTRY, "P0-C1", by="li", **wish))


def wishes(rig: Rig) -> list[ChannelWish]:
    found: list[ChannelWish] = []
    rig.store.read(lambda s: channel_wishes.wishes_of(s, GANTRY)).addCallback(found.extend)
    return found


def test_a_session_is_known_within_a_second(rig: Rig) -> None:
    """With its front and its beginning; it is gone a second after its end."""
    device = rig.online()
    began = rig.clock.now()
    rig.passes(1)
    assert connected(rig) == [Connected(GANTRY, EQ_SN, "front-1", began)]
    device.leaves()
    rig.passes(1)
    assert connected(rig) == []


def test_the_newer_session_wins_also_at_another_front(rig: Rig) -> None:
    """The older front learns of the newer session from the database, and lets the older one go."""
    other = rig.new_front()
    older = rig.online()
    rig.passes(1)
    newer = rig.online(other)
    rig.passes(2)
    assert (older.closed, newer.closed) == ("closed", "")
    assert [each.front for each in connected(rig)] == ["front-2"]
    older_again = rig.online()
    rig.passes(2)
    assert (older_again.closed, newer.closed) == ("", "closed")


def test_sessions_of_a_front_that_was_away_come_back(rig: Rig) -> None:
    """The database did not answer for longer than the lease, and another front cleared up."""
    device = rig.online()
    rig.passes(1)
    rig.store.away = NotStored("no database")
    for _ in range(round(LEASE) + 2):
        device.says(BEAT)
        rig.passes(1)
    rig.store.away = None
    assert connected(rig) == []
    rig.store.write(cloud_sessions.clear)
    assert trouble(rig) == "no database"
    device.says(BEAT)
    rig.passes(1)
    assert len(connected(rig)) == 1
    assert trouble(rig) is None


def test_a_setting_reaches_the_device_and_its_answer_the_database(rig: Rig) -> None:
    """Also one that was asked for before the device came."""
    asks(rig, period="5")
    device = rig.online()
    rig.passes(2)
    assert device.hears() == [Configure(eq_sn=EQ_SN, e_chan="P0-C1", s_period="5")]
    assert [each.outcome for each in wishes(rig)] == ["sent"]
    device.says(encode(Configured(eq_sn=EQ_SN, e_chan="P0-C1", code="10")))
    rig.passes(1)
    assert [(each.outcome, each.code) for each in wishes(rig)] == [("set", "10")]
    asks(rig, period="7", type_="0")
    rig.passes(1)
    assert device.hears() == [Configure(eq_sn=EQ_SN, e_chan="P0-C1", s_period="7", s_type="0")]


def test_a_setting_is_never_sent_twice(rig: Rig) -> None:
    """A device that refuses is silent: the wish ends unanswered, also if the device comes back."""
    device = rig.online()
    asks(rig, type_="1")
    rig.passes(1)
    assert len(device.hears()) == 1
    again = rig.online()
    for _ in range(20):
        again.says(BEAT)
        rig.passes(1)
    assert again.hears() == []
    assert [each.outcome for each in wishes(rig)] == ["unanswered"]
