"""White lists: what people set, and what a gantry gets that asks with `queryAndGetCardInfo`."""

import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import partial
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.centre import sheet
from twisted_gantry.centre.control.order import Asker
from twisted_gantry.centre.interfaces import IReportStore, NotStored, Session
from twisted_gantry.centre.marred import Marred
from twisted_gantry.centre.store import audit
from twisted_gantry.centre.store import cards as stored
from twisted_gantry.centre.store.cards import ALL, CardListSeen, CardsOf
from twisted_gantry.wire.etc.cards import MOST_CARDS, CardFault, read_card
from twisted_gantry.wire.etc.envelope import (
    NO_VERSION,
    Card,
    EtcCode,
    answer,
    card_answer,
    is_list_version,
)

_log = Logger()

MOST_ERRORS = 1000
"""Bad rows that are named; the list is refused anyhow."""
_CACHED = 8  # lists whose answers are kept ready; one of 100,000 cards has 9 MB
_VERSION = "%Y%m%d%H%M%S"
ACTION = "putCards"
"""The name of a change in the audit."""
COLUMNS = ("cardId", "validTime", "invalidTime")


@dataclass(frozen=True, slots=True)
class CardError:
    """What is wrong with a row, which counts from 1; 0 is the list itself."""

    row: int
    en: str
    zh: str


class CardsRefused(Exception):
    """The list has mistakes, and nothing was changed: 400. A list with a card less would lock its
    owner out, so no part of it is taken.
    """

    def __init__(self, errors: Sequence[CardError]) -> None:
        super().__init__(f"{len(errors)} mistakes; the first: {errors[0].en}")
        self.errors = errors


class NotYourRoad(Exception):
    """The person has other roads: 403."""

    en, zh = "this road is not one of yours", "无权操作该路线"

    def __init__(self) -> None:
        super().__init__(self.en)


class CardLists:
    """Takes white lists, and tells who has which. `zone` is that of the versions, `now` returns
    Unix seconds; `in_thread` runs a blocking function.
    """

    def __init__(
        self,
        store: IReportStore,
        zone: tzinfo,
        now: Callable[[], float],
        in_thread: Callable[..., Deferred[Any]],
    ) -> None:
        self._store, self._zone, self._now = store, zone, now
        self._in_thread = in_thread

    def put(
        self, cards: Sequence[Any] | bytes, asker: Asker, *, road: str = ALL, version: str = ""
    ) -> Deferred[CardListSeen]:
        """Set the list for a road, or with an empty one for all; `cards` are objects with `cardId`,
        `validTime` and `invalidTime`, as msgspec.Raw or decoded, or the bytes of a CSV file or a
        workbook with these headings.
        An empty `version`, `yyyyMMddHHmmss`, is the present time. Fails with CardsRefused,
        OldVersion, NotYourRoad and NotStored.
        """
        return ensureDeferred(self._put(cards, asker, road, version))

    async def _put(
        self, cards: Sequence[Any] | bytes, asker: Asker, road: str, version: str
    ) -> CardListSeen:
        if asker.roads is not None and road not in asker.roads:
            raise NotYourRoad
        if version and not _is_version(version):
            raise CardsRefused([CardError(0, "version is not yyyyMMddHHmmss", "版本格式错误")])
        number, body = await self._in_thread(_packed, cards)

        def job(session: Session) -> CardListSeen:
            chosen = version or self._next(stored.newest_of(session, road))
            at = stored.put(session, road, chosen, asker.who, number, body)
            details = {"version": chosen, "cards": number}
            audit.note(session, asker.who, ACTION, road or "all", road=road, details=details)
            found = [each for each in stored.lists(session) if each.road == road]
            return found[0] if found else CardListSeen(road, chosen, at, asker.who, number)

        return await self._store.write(job)

    def _next(self, newest: str) -> str:
        """Return the version of the present second, or the one behind the newest."""
        moment = datetime.fromtimestamp(self._now(), self._zone).strftime(_VERSION)
        if moment > newest:
            return moment
        after = datetime.strptime(newest, _VERSION) + timedelta(seconds=1)  # noqa: DTZ007
        return after.strftime(_VERSION)

    def lists(self, asker: Asker) -> Deferred[list[CardListSeen]]:
        """Return the lists that the gantries of a person may get."""
        return self._store.read(lambda session: stored.lists(session, asker.roads))

    def of_gantries(
        self, asker: Asker, *, road: str = "", limit: int = 1000, after: str = ""
    ) -> Deferred[list[CardsOf]]:
        """Return which list each gantry has, by id after the id `after`."""
        return self._store.read(
            lambda session: stored.of_gantries(
                session, roads=asker.roads, road=road, limit=limit, after=after
            )
        )


def _is_version(text: str) -> bool:
    if not is_list_version(text):
        return False
    try:
        datetime.strptime(text, _VERSION)  # noqa: DTZ007
    except ValueError:
        return False
    return True


# -- checking


def _packed(given: Sequence[Any] | bytes) -> tuple[int, bytes]:
    rows = rows_of(given) if isinstance(given, bytes) else list(enumerate(given, start=1))
    cards = checked(rows)
    return len(cards), zlib.compress(msgspec.json.encode(cards), 6)


def rows_of(content: bytes) -> list[tuple[int, Any]]:
    """Return the cards of a CSV file or a workbook with the headings `COLUMNS`, each with its row.
    Raises CardsRefused.
    """
    try:
        rows = sheet.rows_of(content, MOST_CARDS)
        number, headings = next(rows, (1, ()))
        if missing := [each for each in COLUMNS if each not in headings]:
            en = f"the first row has no heading {', '.join(missing)}"
            raise CardsRefused([CardError(number, en, f"首行缺少标题{'、'.join(missing)}")])
        return [(row, dict(zip(headings, cells, strict=False))) for row, cells in rows]
    except sheet.NoTable as error:
        raise CardsRefused([CardError(0, str(error), error.zh)]) from None


def checked(rows: Sequence[tuple[int, Any]]) -> list[Card]:
    """Return the cards of numbered rows. Raises CardsRefused with the mistakes by row."""
    if not rows:
        en, zh = "an empty list, which every gantry refuses", "名单为空，门架会拒绝"
        raise CardsRefused([CardError(0, en, zh)])
    if len(rows) > MOST_CARDS:
        en, zh = f"a list of over {MOST_CARDS} cards", f"名单超过{MOST_CARDS}张卡"
        raise CardsRefused([CardError(0, en, zh)])
    errors: list[CardError] = []
    cards: dict[str, Card] = {}
    for number, raw in rows:
        card = _checked(raw, cards)
        if isinstance(card, Card):
            cards[card.card_id] = card
        elif len(errors) < MOST_ERRORS:
            said = f"row {number}: the card {card.en}", f"第{number}行：卡{card.zh}"
            errors.append(CardError(number, *said))
    if errors:
        raise CardsRefused(errors)
    return list(cards.values())


def _checked(raw: Any, cards: dict[str, Card]) -> Card | CardFault:
    for key, cell in raw.items() if isinstance(raw, dict) else ():
        if isinstance(cell, Marred):
            return CardFault(f"has a {key} that {cell.en}", f"的{key}{cell.zh}")
    card = read_card(bytes(raw) if isinstance(raw, msgspec.Raw) else raw)
    if isinstance(card, CardFault):
        return card
    if card.card_id in cards:
        return CardFault(f"({card.card_id[:20]!r}) stands twice", f"（{card.card_id[:20]}）重复")
    if card.invalid_time <= card.valid_time:
        en = f"({card.card_id[:20]!r}) ends before it begins"
        return CardFault(en, f"（{card.card_id[:20]}）失效时间不晚于生效时间")
    return card


# -- what a gantry gets


class CardAnswers:
    """Answers `queryAndGetCardInfo` for a front. The version is read from the database each time;
    the answers of the last lists are kept ready. What gantries have is noted in groups.
    """

    def __init__(self, store: IReportStore) -> None:
        self._store = store
        self._ready: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._asked: dict[str, str] = {}
        self._noting: Deferred[None] | None = None

    def list_for(self, gantry: str, road: str, version: str) -> Deferred[bytes]:
        """Return the body of the answer to a gantry that has `version`, and note that it has it.
        Fails with NotStored, which is 1008: the gantry keeps its list, and asks again.
        """
        return ensureDeferred(self._list_for(gantry, road, version))

    async def _list_for(self, gantry: str, road: str, version: str) -> bytes:
        has = stored.version_of(version)
        self._note(gantry, has)
        newest = await self._store.read(lambda session: stored.newest(session, road))
        if newest is None or newest[1] <= has:
            return card_answer(NO_VERSION, None).encode()
        if newest in self._ready:
            self._ready.move_to_end(newest)
            return self._ready[newest]
        body = await self._store.read(lambda session: _answer(session, *newest))
        if body is None:  # it was replaced: the gantry asks again, and gets the next one
            return card_answer(NO_VERSION, None).encode()
        self._ready[newest] = body
        while len(self._ready) > _CACHED:
            self._ready.popitem(last=False)
        return body

    def _note(self, gantry: str, has: str) -> None:
        """Note what a gantry has, at once or together with others after the write under way."""
        self._asked[gantry] = has
        if self._noting is not None:
            return
        noting = self._noting = ensureDeferred(self._notes())
        noting.addBoth(self._noted)

    async def _notes(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, {}
            try:
                await self._store.write(partial(stored.note, asked=list(asked.items())))
            except NotStored as error:  # they tell it again within minutes
                _log.info("versions of white lists are not noted: {error}", error=error)
                return

    def _noted(self, result: object) -> None:
        self._noting = None
        if isinstance(result, Failure):
            _log.failure("versions of white lists are not noted", failure=result)


def _answer(session: Session, road: str, version: str) -> bytes | None:
    packed = stored.body(session, road, version)
    if packed is None:
        return None
    cards = msgspec.Raw(zlib.decompress(packed))
    data = {"isExistLatestVersion": "1", "latestVersion": version, "cardInfos": cards}
    return answer(EtcCode.SUCCESS, data).encode()
