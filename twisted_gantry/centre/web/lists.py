"""White lists and pictures of gantries."""

from typing import Any

from twisted.web.server import Request

from twisted_gantry.centre.control.cards import CardLists, CardsRefused, NotYourRoad
from twisted_gantry.centre.control.channels import CannotAsk
from twisted_gantry.centre.control.desk import NoGantry
from twisted_gantry.centre.control.pictures import (
    NoPicture,
    NotAnswered,
    Pictures,
    TooManyPictures,
)
from twisted_gantry.centre.interfaces import IReportStore, Session
from twisted_gantry.centre.store import pictures
from twisted_gantry.centre.store.cards import CardListSeen, OldVersion
from twisted_gantry.centre.web.call import Call
from twisted_gantry.centre.web.importing import file_of
from twisted_gantry.centre.web.orders import asker_of, no_gantry
from twisted_gantry.net.http.json import HttpError
from twisted_gantry.net.times import TimeText
from twisted_gantry.wire import centre_orders as api
from twisted_gantry.wire.etc.cards import MOST_CARDS
from twisted_gantry.wire.etc.commands import FIRST_CABINET
from twisted_gantry.wire.etc.pictures import PictureFile
from twisted_gantry.wire.local_api import ErrorDetail

_LIST_NODES = 5 * MOST_CARDS
"""A card is an object with three members. One more is ignored."""


class Lists:
    """Answers about white lists, and sets them."""

    def __init__(self, lists: CardLists, time: TimeText) -> None:
        self._lists, self._time = lists, time

    async def read(self, call: Call) -> api.CardsList:
        road, limit, after = call.text("road"), call.limit(), call.after()
        asker = asker_of(call)
        lists = [] if after else await self._lists.lists(asker)
        found = await self._lists.of_gantries(
            asker, road=road, limit=limit + 1, after=str(after[0]) if after else ""
        )
        more = (found[limit - 1].gantry,) if len(found) > limit else None
        gantries = [
            api.CardsOfGantry(
                each.gantry, each.road, each.version, each.wanted, self._time(each.asked_at)
            )
            for each in found[:limit]
        ]
        shown = [self._list(each) for each in lists if not road or each.road in ("", road)]
        return api.CardsList(shown, gantries, call.cursor(more))

    async def put(self, call: Call) -> api.CardsView | api.CardsRefused:
        """Set a list; one with mistakes is answered with them, and changes nothing."""
        body = call.long_list(api.CardsBody, _LIST_NODES)
        return await self._put(call, body.cards, body.road, body.version)

    async def importing(self, call: Call) -> api.CardsView | api.CardsRefused:
        """Set a list by a file, as `put` does."""
        return await self._put(call, file_of(call), call.text("road"), call.text("version"))

    async def _put(
        self, call: Call, cards: list[Any] | bytes, road: str, version: str
    ) -> api.CardsView | api.CardsRefused:
        try:
            made = await self._lists.put(cards, asker_of(call), road=road, version=version)
        except CardsRefused as error:
            call.request.setResponseCode(400)
            errors = [api.CardError(each.row, each.en, each.zh) for each in error.errors]
            return api.CardsRefused(ErrorDetail("bad-cards", str(error)), errors)
        except NotYourRoad as error:
            raise HttpError(403, "other-road", error.en, error.zh) from None
        except OldVersion as error:
            raise HttpError(409, "old-version", error.en, error.zh) from None
        return self._list(made)

    def _list(self, seen: CardListSeen) -> api.CardsView:
        return api.CardsView(
            seen.road,
            seen.version,
            self._time(seen.put_at),
            seen.who,
            seen.cards,
            seen.current,
            seen.behind,
            seen.never,
        )


class PictureFiles:
    """Answers with pictures, and with the list of those of a gantry."""

    def __init__(self, store: IReportStore, files: Pictures, time: TimeText) -> None:
        self._store, self._files, self._time = store, files, time

    async def read(self, call: Call) -> bytes | api.PictureList:
        """Raises HttpError: 404 for no such gantry or picture, 409 for a gantry that cannot be
        asked, 502 for one that does not answer, 503 while others are asked for.
        """
        at = call.moment("at")
        if at is None:
            return await self._listed(call)
        cabinet = call.text("cabinet") or FIRST_CABINET
        try:
            found = await self._files.get(call.parts["gantry"], at, asker_of(call), cabinet)
        except NoGantry as error:
            raise no_gantry(error) from None
        except CannotAsk as error:
            raise HttpError(409, error.why, error.en, error.zh) from None
        except NoPicture as error:
            raise HttpError(404, "no-picture", error.en, error.zh) from None
        except NotAnswered as error:
            raise HttpError(502, "not-answered", error.en, error.zh) from None
        except TooManyPictures as error:
            call.request.setHeader("Retry-After", "5")
            raise HttpError(503, "busy", error.en, error.zh) from None
        return _sent(call.request, found)

    async def _listed(self, call: Call) -> api.PictureList:
        def job(session: Session) -> list[pictures.Opening]:
            gantry = call.scope.gantry(session, call.parts["gantry"])
            return list(pictures.of_gantry(session, gantry.id, call.limit()))

        found = await self._store.read(job)
        return api.PictureList(
            [api.PictureView(e.gantry, e.cabinet, self._time(e.opened_at)) for e in found]
        )


def _sent(request: Request, picture: PictureFile) -> bytes:
    request.setHeader("Content-Type", picture.content_type)
    request.setHeader("Cache-Control", "private, max-age=86400")
    request.setHeader("Content-Disposition", "inline")
    return picture.content
