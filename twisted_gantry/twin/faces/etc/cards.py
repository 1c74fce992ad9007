"""A white list of the platform, as the control API and scenarios give it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec

from twisted_gantry.wire.etc.envelope import Card, CardList


class BadCards(ValueError):
    """A white list with an error; the text names it."""


class _Cards(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`version` is `yyyyMMddHHmmss`."""

    version: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{14}\Z")]
    cards: tuple[Card, ...]


def read_cards(content: Mapping[str, Any]) -> CardList:
    """Check a white list; an empty one is valid, to test the gantry. Raises BadCards."""
    try:
        given = msgspec.convert(dict(content), _Cards)
    except msgspec.ValidationError as error:
        raise BadCards(str(error)) from None
    for at, card in enumerate(given.cards):
        if not card.card_id.strip():
            raise BadCards(f"cards[{at}].cardId is empty")
        for name, day in (("validTime", card.valid_time), ("invalidTime", card.invalid_time)):
            try:
                datetime.strptime(day, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - the gantry's time
            except ValueError:
                raise BadCards(f"cards[{at}].{name} is not yyyy-MM-dd HH:mm:ss") from None
    return CardList(given.version, given.cards)
