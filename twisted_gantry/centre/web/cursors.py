"""Cursors of lists: where the next page goes on, as an opaque text that may stand in a URL.

A cursor is sealed, so that it cannot be forged, and holds for the list that gave it, in its order.
"""

from typing import Any

import msgspec

from twisted_gantry.centre.store.sealing import Sealing, WrongKey
from twisted_gantry.net.http.json import HttpError
from twisted_gantry.wire.secret import Secret

LONGEST = 2000  # characters
_PURPOSE = "cursor"

Key = tuple[Any, ...]
"""The key of the last row of a page: values of JSON."""


class Cursors:
    """Makes and reads cursors, by the key of the store: any process of the centre reads them."""

    def __init__(self, sealing: Sealing) -> None:
        self._sealing = sealing

    def text(self, which: str, key: Key | None) -> str | None:
        """Return the cursor of the list `which` behind the row `key`, None for the last page."""
        if key is None:
            return None
        sealed = self._sealing.seal(Secret(msgspec.json.encode((_PURPOSE, which, key)).decode()))
        return sealed.decode().rstrip("=")

    def key(self, which: str, text: str) -> Key | None:
        """Return the key of a cursor, None for an empty text. Raises HttpError (400)."""
        if not text:
            return None
        try:
            if len(text) > LONGEST:
                raise ValueError
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            opened = self._sealing.open(padded).reveal()
            purpose, place, key = msgspec.json.decode(opened, type=tuple[str, str, list[Any]])
        except (WrongKey, ValueError):
            purpose, place, key = "", "", []
        if (purpose, place) != (_PURPOSE, which):
            raise HttpError(400, "bad-cursor", "after is no cursor of this list in this order")
        return tuple(key)
