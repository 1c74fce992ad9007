"""Pictures of doors: what the database has, and else what the gantry answers."""

from collections.abc import Callable
from datetime import tzinfo

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger

from twisted_gantry.centre.control.channels import Channels
from twisted_gantry.centre.control.desk import NoGantry
from twisted_gantry.centre.control.order import Asker
from twisted_gantry.centre.interfaces import IReportStore, NotStored, Session
from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.store import pictures, registry
from twisted_gantry.centre.store.pictures import Opening
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.net.outage import Outage, outage_of
from twisted_gantry.remote.channel import TROUBLE, code_of
from twisted_gantry.wire.etc.commands import FIRST_CABINET
from twisted_gantry.wire.etc.envelope import EtcCode, local_time
from twisted_gantry.wire.etc.pictures import PictureFile

_log = Logger()

MOST_AT_ONCE = 4
"""Pictures that are asked for at a time; each may have 16 MiB."""


class NoPicture(Exception):
    """The gantry has no picture of that time (1009): 404."""

    en, zh = "the gantry has no picture of that time", "门架没有该时间的图片"

    def __init__(self) -> None:
        super().__init__(self.en)


class NotAnswered(Exception):
    """The gantry did not give its picture: 502. `en` and `zh` say why."""

    def __init__(self, why: Outage) -> None:
        super().__init__(why.en)
        self.en, self.zh = why.en, why.zh


class TooManyPictures(Exception):
    """So many pictures are asked for already that this one must wait: 503."""

    en, zh = "too many pictures are asked for at once", "同时请求的图片过多"

    def __init__(self) -> None:
        super().__init__(self.en)


class Pictures:
    """Gives pictures. `zone` is that of the gantries, `now` returns Unix seconds."""

    def __init__(
        self,
        store: IReportStore,
        sealing: Sealing,
        channels: Channels,
        zone: tzinfo,
        now: Callable[[], float],
    ) -> None:
        self._store, self._sealing, self._channels = store, sealing, channels
        self._zone, self._now = zone, now
        self.busy = 0

    def get(
        self, gantry: str, opened_at: float, asker: Asker, cabinet: str = FIRST_CABINET
    ) -> Deferred[PictureFile]:
        """Return the picture of a door that opened at `opened_at`, Unix seconds. Its content type
        is one of those of the document, so a browser shows no page. Fails with NoGantry, CannotAsk,
        NoPicture, NotAnswered, TooManyPictures and NotStored.
        """
        return ensureDeferred(self._get(Opening(gantry, cabinet, opened_at), asker))

    async def _get(self, opening: Opening, asker: Asker) -> PictureFile:
        def look(session: Session) -> tuple[Gantry | None, PictureFile | None]:
            known = registry.gantry(session, opening.gantry, self._sealing)
            if known is None or (asker.roads is not None and known.road not in asker.roads):
                return None, None
            return known, pictures.find(session, _of(known, opening))

        gantry, found = await self._store.read(look)
        if gantry is None:
            raise NoGantry
        return found or await self.ask(gantry, _of(gantry, opening))

    async def ask(self, gantry: Gantry, opening: Opening) -> PictureFile:
        """Ask a gantry, and keep what it gives. Raises as `get` does."""
        if self.busy >= MOST_AT_ONCE:
            raise TooManyPictures
        self.busy += 1
        try:
            picture = await self._asked(gantry, opening)
            try:
                await self._store.write(lambda session: pictures.keep(session, opening, picture))
            except NotStored as error:  # who asked gets it all the same
                _log.warn(
                    "a picture of {gantry} is not kept: {error}", gantry=gantry.id, error=error
                )
        finally:
            self.busy -= 1
        return picture

    async def _asked(self, gantry: Gantry, opening: Opening) -> PictureFile:
        channel = self._channels.to(gantry, lambda: int(self._now()))
        moment = local_time(opening.opened_at, self._zone)
        try:
            answer = await channel.ask_picture(opening.cabinet, moment)
        except TROUBLE as error:
            raise NotAnswered(outage_of(error)) from None
        if isinstance(answer, PictureFile):
            return answer
        if code_of(answer) is EtcCode.NO_PICTURE:
            raise NoPicture
        raise NotAnswered(channel.why(answer))


def _of(gantry: Gantry, opening: Opening) -> Opening:
    """Return an opening with the id as the registry spells it."""
    return Opening(gantry.id, opening.cabinet, opening.opened_at)
