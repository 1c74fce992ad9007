"""White lists: set whole or not at all, newest first, and known by gantry."""

import io
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from openpyxl import Workbook
from twisted.internet.defer import Deferred, ensureDeferred

from tests.centre.control.rig import ME, CentreRig, CutStore
from tests.support import in_no_thread
from twisted_gantry.centre.control.cards import (
    MOST_ERRORS,
    CardAnswers,
    CardLists,
    CardsRefused,
    NotYourRoad,
    checked,
)
from twisted_gantry.centre.control.order import Asker
from twisted_gantry.centre.interfaces import NotStored
from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.store import audit, registry
from twisted_gantry.centre.store.cards import CardListSeen, CardsOf, OldVersion
from twisted_gantry.net.turns import in_turns
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import START, ManualClock
from twisted_gantry.wire.etc.answers import decode_answer
from twisted_gantry.wire.etc.cards import MOST_CARDS, Offer, read_offer

ZONE = ZoneInfo("Asia/Shanghai")
FIRST = "20231115061320"  # the moment START there
SECOND, THIRD = "20231116000000", "20231117000000"


def card(number: int = 1, **more: Any) -> dict[str, Any]:
    times = {"validTime": "2023-01-01 00:00:00", "invalidTime": "2033-01-01 00:00:00"}
    return {"cardId": f"C{number}", **times, **more}


@pytest.fixture
def lists(memory: InlineStore, clock: ManualClock) -> CardLists:
    return CardLists(memory, ZONE, clock.now, in_no_thread)


async def offered(
    answers: CardAnswers, clock: ManualClock, gantry: str, road: str, version: str = "0"
) -> Offer:
    """Ask as a gantry does, and read the answer as the gantry of this project does."""
    body = await answers.list_for(gantry, road, version)
    answer = decode_answer(body)
    assert answer.code == "1000"
    reading = in_turns(clock, read_offer(answer))
    found: list[Any] = []
    ensureDeferred(reading).addBoth(found.append)
    clock.run(1)
    offer: Offer = found[0]
    return offer


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("C1", "is no object"),
        (card(cardId=""), "cardId that is empty"),
        (card(cardId="9" * 65), "longer than 64"),
        (card(validTime="soon"), "validTime that is no time"),
        (card(invalidTime="2023-02-30 00:00:00"), "invalidTime that is no time"),
        (card(2, invalidTime="2022-01-01 00:00:00"), "ends before it begins"),
        (card(1), "stands twice"),
    ],
)
def test_a_bad_row_is_named_and_refuses_the_list(row: Any, why: str) -> None:
    """A card less locks its owner out: the list is refused, each mistake with its row."""
    with pytest.raises(CardsRefused) as caught:
        checked([(1, card(1)), (2, row), (3, card(3, validTime=""))])
    assert [each.row for each in caught.value.errors] == [2, 3]
    first = caught.value.errors[0]
    assert why in first.en
    assert first.zh.startswith("第2行：卡")


def test_a_list_has_bounds() -> None:
    """Empty lists, huge ones and endless mistakes are refused in bounded space."""
    for rows in ([], [(1, card())] * (MOST_CARDS + 1)):
        with pytest.raises(CardsRefused) as caught:
            checked(rows)
        assert [each.row for each in caught.value.errors] == [0]
    with pytest.raises(CardsRefused) as caught:
        checked([(1, "x")] * (MOST_ERRORS + 50))
    assert len(caught.value.errors) == MOST_ERRORS


async def test_a_gantry_gets_what_is_newer_than_its_own(
    lists: CardLists, memory: InlineStore, clock: ManualClock
) -> None:
    """The answer is one that a gantry reads; one with this version or a newer one gets nothing."""
    await lists.put([card(1, cardId=2**40), card(2, validTime="2023/1/1 0:00:00")], ME)
    answers = CardAnswers(memory)
    offer = await offered(answers, clock, "G1", "G2")
    assert offer.cards is not None
    assert offer.cards.version == FIRST
    assert [each.card_id for each in offer.cards.cards] == [str(2**40), "C2"]
    assert offer.cards.cards[1].valid_time == "2023-01-01 00:00:00"
    for newer in (FIRST, THIRD):
        assert (await offered(answers, clock, "G1", "G2", newer)).cards is None
    for odd in ("NoData", "", "1", "9" * 15):  # no version: the gantry has no list
        assert (await offered(answers, clock, "G1", "G2", odd)).cards is not None


async def test_versions_are_noted_in_groups(rig: CentreRig) -> None:
    """While a note is on its way others wait for the next one; a gantry is answered at once. Notes
    that the database does not take are lost, and told again.
    """
    store: Any = CutStore(rig.store)
    waiting: list[tuple[Any, Deferred[None]]] = []

    def slow(job: Any) -> Deferred[None]:
        waiting.append((job, Deferred()))
        return waiting[-1][1]

    store.write = slow
    answers = CardAnswers(store)
    for number in range(5):
        assert decode_answer(await answers.list_for(f"G{number}", "G2", FIRST)).code == "1000"
    assert len(waiting) == 1
    first, done = waiting.pop()
    rig.write(first)
    done.callback(None)
    second, done = waiting.pop()
    rig.write(second)
    done.errback(NotStored("away"))
    await answers.list_for("G0", "G2", SECOND)
    assert len(waiting) == 1
    rows = rig.write(lambda s: s.rows("SELECT gantry FROM card_versions ORDER BY gantry"))
    assert [row[0] for row in rows] == [f"G{number}" for number in range(5)]


async def test_a_list_is_for_a_road_or_for_all(
    lists: CardLists, memory: InlineStore, clock: ManualClock
) -> None:
    """A gantry gets the newest of its road's list and that for all; a front hears of a new one by
    the database.
    """
    answers = CardAnswers(memory)
    assert (await offered(answers, clock, "G1", "G2")).cards is None
    await lists.put([card(1)], ME, version=FIRST)
    await lists.put([card(2)], ME, road="G2", version=SECOND)

    async def gets(road: str) -> str:
        offer = await offered(answers, clock, f"at {road}", road)
        assert offer.cards is not None
        return offer.cards.cards[0].card_id

    assert [await gets("G2"), await gets("G4"), await gets("")] == ["C2", "C1", "C1"]
    await lists.put([card(3)], ME, version=THIRD)
    assert [await gets("G2"), await gets("G4")] == ["C3", "C3"]


async def test_a_version_only_rises(lists: CardLists, clock: ManualClock) -> None:
    """A version that its gantries may have, or a lower one, is refused: they would keep theirs. The
    centre's own version is the local time, or the second behind the last one.
    """
    first = await lists.put([card()], ME)
    assert first.version == FIRST
    assert (await lists.put([card()], ME)).version == "20231115061321"
    await lists.put([card()], ME, road="G2", version=SECOND)
    for road in ("", "G2"):
        with pytest.raises(OldVersion) as caught:
            await lists.put([card()], ME, road=road, version=SECOND)
        assert SECOND in caught.value.en
        assert SECOND in caught.value.zh
    assert (await lists.put([card()], ME, road="G4")).version == "20231115061322"
    assert (await lists.put([card()], ME)).version == "20231116000001"
    for odd in ("20231399000000", "2023", "now"):
        with pytest.raises(CardsRefused):
            await lists.put([card()], ME, version=odd)


async def test_who_has_which(rig: CentreRig, lists: CardLists) -> None:
    """Each gantry has the version that it said last; the lists count who has them."""
    rig.add("G41", "G42", "G43", road="G4")
    pending = Gantry("G5", road="G4", pending=True)
    rig.write(lambda session: registry.put(session, [pending], rig.sealing))
    await lists.put([card(1)], ME, version=FIRST)
    await lists.put([card(2), card(3)], ME, road="G4", version=SECOND)
    answers = CardAnswers(rig.store)
    for gantry, road, version in (
        ("G1", "G2", "0"),
        ("G1", "G2", FIRST),
        ("G41", "G4", SECOND),
        ("G42", "G4", FIRST),
    ):
        await answers.list_for(gantry, road, version)
    noted = await rig.store.read(audit.entries)
    assert [(e.who, e.target, e.details) for e in noted] == [
        (ME.who, "G4", {"version": SECOND, "cards": 2}),
        (ME.who, "all", {"version": FIRST, "cards": 1}),
    ]
    everything = await lists.lists(ME)
    assert everything == [
        CardListSeen("", FIRST, START, ME.who, 1, current=1),
        CardListSeen("G4", SECOND, START, ME.who, 2, current=1, behind=1, never=1),
    ]
    neighbour = Asker("wang", frozenset({"G4"}))
    assert [each.road for each in await lists.lists(neighbour)] == ["", "G4"]
    assert [each.road for each in await lists.lists(Asker("x", frozenset({"G2"})))] == [""]
    of = await lists.of_gantries(ME, limit=3)
    assert of == [
        CardsOf("G1", "G2", FIRST, START, FIRST),
        CardsOf("G41", "G4", SECOND, START, SECOND),
        CardsOf("G42", "G4", FIRST, START, SECOND),
    ]
    rest = await lists.of_gantries(ME, road="G4", after="G42")
    assert rest == [CardsOf("G43", "G4", None, None, SECOND)]
    assert [each.gantry for each in await lists.of_gantries(neighbour)] == ["G41", "G42", "G43"]
    with pytest.raises(NotYourRoad):
        await lists.put([card()], neighbour)
    assert (await lists.put([card()], neighbour, road="G4")).road == "G4"


async def test_a_list_comes_from_a_file(lists: CardLists) -> None:
    """CSV or a workbook with headings, as a spreadsheet writes them; a mistake has its row."""
    rows = "cardId,validTime,invalidTime,谁\r\nC1,2023-01-01 00:00:00,2033/1/1 0:00:00,李\r\n"
    book = Workbook()
    book.active.append(["cardId", "validTime", "invalidTime"])
    book.active.append([12345678, datetime(2023, 1, 1), datetime(2033, 1, 1)])  # noqa: DTZ001
    workbook = io.BytesIO()
    book.save(workbook)
    for content in (rows.encode("utf-8-sig"), rows.encode("gb18030"), workbook.getvalue()):
        assert (await lists.put(content, ME)).cards == 1
    wrongs = ((b"cardId,validTime\r\n", 1), (b"", 1), (rows[:30].encode() + b"\n\nC,,", 3))
    for wrong, row in (*wrongs, (b"PK\x03\x04", 0)):
        with pytest.raises(CardsRefused) as caught:
            await lists.put(wrong, ME)
        assert caught.value.errors[0].row == row


async def test_a_card_that_a_spreadsheet_shortened(lists: CardLists) -> None:
    """A card whose digits are lost is a mistake: a list with another card would open no door."""
    times = "2023-01-01 00:00:00,2033-01-01 00:00:00"
    content = f"cardId,validTime,invalidTime\n1.10113E+15,{times}\n1101132211,{times}\n"
    book = Workbook()
    book.active.append(["cardId", "validTime", "invalidTime"])
    book.active.append([1101132211223344, datetime(2023, 1, 1), datetime(2033, 1, 1)])  # noqa: DTZ001
    workbook = io.BytesIO()
    book.save(workbook)
    for wrong in (content.encode(), workbook.getvalue()):
        with pytest.raises(CardsRefused) as caught:
            await lists.put(wrong, ME)
        [error] = caught.value.errors
        assert error.row == 2
        assert "has a cardId that is a number that the spreadsheet shortened" in error.en
        assert "cardId数字已被表格软件缩短" in error.zh


async def test_both_engines_keep_lists(store: InlineStore, clock: ManualClock) -> None:
    """Versions, counts and answers are the same in both."""
    lists = CardLists(store, ZONE, clock.now, in_no_thread)
    await store.write(
        lambda s: s.run(
            "INSERT INTO gantries (id, name, road, section, stake, direction, position,"
            " remote_control, eq_sn, pending, same, changed)"
            " VALUES ('G1', '', 'G2', '', '', '', '', '', '', 0, 'G1', 1)"
        )
    )
    await lists.put([card()], ME, version=FIRST)
    await lists.put([card(2)], ME, road="G2", version=SECOND)
    with pytest.raises(OldVersion):
        await lists.put([card()], ME, version=SECOND)
    answers = CardAnswers(store)
    assert (await offered(answers, clock, "G1", "G2")).cards is not None
    [everywhere, road] = await lists.lists(ME)
    assert (everywhere.current, everywhere.behind, everywhere.never) == (0, 0, 0)
    assert (road.current, road.behind, road.never) == (0, 1, 0)
    [of] = await lists.of_gantries(ME)
    assert (of.version, of.wanted) == ("0", SECOND)
