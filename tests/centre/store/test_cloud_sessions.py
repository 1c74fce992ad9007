"""Sessions of the fronts, and wishes for configurations, in both engines."""

from typing import Any

import pytest

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.store import channel_wishes, cloud_sessions
from twisted_gantry.centre.store.channel_wishes import Outcome, WrongWish
from twisted_gantry.centre.store.cloud_sessions import LEASE, Connected, Opened
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import START, ManualClock

ONE, TWO = Opened("G1", "1", 1, START), Opened("G2", "2", 2, START)


async def test_sessions_are_those_of_fronts_that_live(store: InlineStore) -> None:
    """A front that was killed vanishes with its sessions; one that stops takes them along. A newer
    session takes the row, of which the older front is told, and whose end takes nothing from it.
    """

    def work(session: Session) -> None:
        assert not cloud_sessions.renew(session, "A")
        assert not cloud_sessions.renew(session, "B")
        assert cloud_sessions.renew(session, "A")
        cloud_sessions.note(session, "A", [TWO, ONE])
        cloud_sessions.note(session, "B", [Opened("G3", "3", 1, START)])
        assert cloud_sessions.session_of(session, "G1") == Connected("G1", "1", "A", START)
        some = cloud_sessions.connected(session, ["G3", "G1", "G9"])
        assert [(each.gantry, each.front) for each in some] == [("G1", "A"), ("G3", "B")]
        cloud_sessions.note(session, "A", [], [ONE])
        assert cloud_sessions.session_of(session, "G1") is None
        session.run("UPDATE cloud_fronts SET expires = 0 WHERE front = 'A'")
        assert cloud_sessions.session_of(session, "G2") is None
        cloud_sessions.clear(session)
        assert session.rows("SELECT gantry FROM cloud_sessions") == [("G3",)]
        cloud_sessions.leave(session, "B")
        assert session.rows("SELECT gantry FROM cloud_sessions") == []

    def take_over(session: Session) -> None:
        cloud_sessions.renew(session, "A")
        cloud_sessions.renew(session, "B")
        cloud_sessions.note(session, "A", [ONE])
        newer = Opened("G1", "1", 7, START + 1)
        cloud_sessions.note(session, "B", [newer])
        cloud_sessions.note(session, "B", [newer])
        assert cloud_sessions.lost(session, "A") == [1]
        assert cloud_sessions.lost(session, "B") == []
        cloud_sessions.note(session, "A", [], [ONE])
        cloud_sessions.told(session, "A", [1])
        assert cloud_sessions.lost(session, "A") == []
        assert cloud_sessions.session_of(session, "G1") == Connected("G1", "1", "B", START + 1)

    await store.write(work)
    await store.write(take_over)


async def test_a_wish_is_sent_once_and_has_an_outcome(store: InlineStore) -> None:
    """Due at the front that has the session; of two marks one counts; answers go to the oldest."""

    def work(session: Session) -> None:
        first = channel_wishes.ask(session, "G1", "P0-C1", period="5", by="li")
        second = channel_wishes.ask(session, "G1", "P0-C1", type_="1", by="li")
        channel_wishes.ask(session, "G2", "P0-C1", type_="1", by="li")
        cloud_sessions.renew(session, "A")
        cloud_sessions.note(session, "A", [ONE])
        due = channel_wishes.due(session, "A")
        assert [each.id for each in due] == [first, second]
        assert channel_wishes.due(session, "B") == []
        assert channel_wishes.mark(session, due) == due
        assert channel_wishes.mark(session, due) == []
        assert channel_wishes.answered(session, "G1", "P0-C1", "10")
        assert channel_wishes.answered(session, "G1", "P0-C1", "2")
        assert not channel_wishes.answered(session, "G1", "P0-C1", "10")
        outcomes = [each.outcome for each in channel_wishes.wishes_of(session, "G1")]
        assert outcomes == [Outcome.NOT_CONFIRMED, Outcome.SET]
        found = channel_wishes.wish(session, first)
        assert found is not None
        assert (found.period, found.type, found.code) == ("5", None, "10")

    await store.write(work)


async def test_wishes_end(memory: InlineStore, clock: ManualClock) -> None:
    """Those whose device never came expire; those without an answer are unanswered."""
    cloud_sessions_of = [Opened("G1", "1", 1, START)]

    def ask(session: Session) -> None:
        channel_wishes.ask(session, "G1", "P0-C1", period="5", by="li", seconds=60)
        channel_wishes.ask(session, "G2", "P0-C1", period="5", by="li", seconds=60)
        cloud_sessions.renew(session, "A")
        cloud_sessions.note(session, "A", cloud_sessions_of)
        channel_wishes.mark(session, channel_wishes.due(session, "A"))

    await memory.write(ask)
    clock.advance(61)
    await memory.write(channel_wishes.close)
    [one] = await memory.read(lambda session: channel_wishes.wishes_of(session, "G1"))
    [two] = await memory.read(lambda session: channel_wishes.wishes_of(session, "G2"))
    assert (one.outcome, two.outcome) == (Outcome.UNANSWERED, Outcome.EXPIRED)


@pytest.mark.parametrize(
    "wrong",
    [
        {"channel": "C1", "period": "5"},
        {"channel": "P0-C1"},
        {"channel": "P0-C1", "period": "0"},
        {"channel": "P0-C1", "period": "x"},
        {"channel": "P0-C1", "type_": "2"},
    ],
)
async def test_a_wish_that_no_device_can_have_is_refused(memory: InlineStore, wrong: Any) -> None:
    """No channel, no setting, a period out of range, an unknown type."""

    def ask(session: Session) -> None:
        channel_wishes.ask(session, "G1", by="li", **wrong)

    with pytest.raises(WrongWish):
        await memory.write(ask)


def test_the_lease_is_longer_than_what_renews_it() -> None:
    """A front that lives is never taken for one that was killed."""
    from twisted_gantry.centre.fronts.cloud_book import LOOK_S, RENEW_S

    assert RENEW_S + LOOK_S <= LEASE / 2
