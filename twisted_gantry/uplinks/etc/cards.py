"""The white list of access cards: asked for on a timer, replaced whole or not at all.

Source: the ETC document, section 4; decisions: `docs/protocols/etc-gantry.md`, "White list".
"""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.site import Site
from twisted_gantry.core.stored import StoredCard
from twisted_gantry.net.outage import Outage
from twisted_gantry.net.turns import each_made, in_turns
from twisted_gantry.uplinks.etc.channel import MAX_LIST, Channel, Kind
from twisted_gantry.uplinks.etc.steering import Steering
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.cards import read_offer
from twisted_gantry.wire.etc.envelope import NO_VERSION, Card, Method, encode_request

_log = Logger()

SOURCE = "white-list"
"""The setting with the configured URL of the platform that the stored list is from."""


def _stored(card: Card) -> StoredCard:
    return StoredCard(card.card_id, card.valid_time, card.invalid_time)


class CardsPoll:
    """Asks the platform for a newer white list. `url` is its configured URL: a list of another
    platform is replaced whatever the versions, for each platform counts its own. `now` returns Unix
    seconds; `taken` is called when the platform took a request.
    """

    def __init__(
        self,
        name: str,
        url: str,
        site: Site,
        channel: Channel,
        steering: Steering,
        clock: IReactorTime,
        now: Callable[[], float],
        taken: Callable[[], None],
    ) -> None:
        self._alarm = f"{name}.white-list"
        self._source = url
        self._gantry_id, self._store, self._alarms = site.gantry_id, site.store, site.alarms
        self._channel, self._steering, self._clock, self._now = channel, steering, clock, now
        self._taken = taken
        self._incomplete = ""  # the version of a list with cards that were left out

    async def ask(self) -> Outage | None:
        """Ask once; an answer that cannot be used raises an alarm, and the old list stays. Returns
        what is wrong with the way to the platform.
        """
        version, of_another = await self._known()
        body = encode_request(self._gantry_id, Method.CARDS, self._now(), {"curVersion": version})
        url = self._steering.server_for(Method.CARDS.value)
        taken = await self._channel.post(body, url, MAX_LIST)
        if taken.kind is not Kind.DELIVERED or taken.answer is None:
            # The reports raise the alarm of the channel; the next period asks again.
            _log.debug("no white list: {reason}", reason=taken.reason)
            return taken.outage
        self._taken()
        try:
            offer = await in_turns(self._clock, read_offer(taken.answer))
            offered = offer.cards
            if offered is not None and offered.version < version:
                raise BadMessage(f"version {offered.version} is older than ours, {version}")
        except BadMessage as error:
            self._say(
                f"the platform's white list is refused: {error}",
                f"平台下发的白名单被拒绝：{error}",
            )
            return None
        if offered is not None and (of_another or offered.version != version):
            cards = await in_turns(self._clock, each_made(_stored, offered.cards))
            await self._store.replace_cards(offered.version, cards)
            version = offered.version
            await self._store.put_setting(SOURCE, self._source)
            _log.info("white list {version}: {n} cards", version=version, n=len(cards))
            self._incomplete = ""
            if offer.left_out:
                self._incomplete, bad = version, "; ".join(offer.bad)
                self._say(
                    f"{offer.left_out} cards of the white list are left out: {bad}",
                    f"白名单中有{offer.left_out}张卡被忽略：{bad}",
                )
        if version != self._incomplete:
            self._alarms.clear(self._alarm)
        return None

    async def _known(self) -> tuple[str, bool]:
        """Return the version of the list that is stored, and whether it is another platform's: its
        version means nothing here, and is given as that of no list. A list from before its source
        was kept is this platform's.
        """
        version, _ = await self._store.cards()
        source = (await self._store.settings()).get(SOURCE)
        if version != NO_VERSION and source is None:
            await self._store.put_setting(SOURCE, self._source)
        of_another = version != NO_VERSION and source not in (None, self._source)
        return (NO_VERSION if of_another else version), of_another

    def _say(self, en: str, zh: str) -> None:
        self._alarms.set(self._alarm, Severity.WARNING, en, zh)
