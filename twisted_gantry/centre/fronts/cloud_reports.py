"""What a Fogslink device sends, as a report for the store."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import md5

from msgspec import structs

from twisted_gantry.centre.conditions import CHANNEL, FOGSLINK
from twisted_gantry.centre.model import Received, Told
from twisted_gantry.wire import numbers
from twisted_gantry.wire.fogslink import messages
from twisted_gantry.wire.fogslink.messages import Item, Pack, Single, State

_PART = 2047  # bytes: `hashlib` lets the lock go for more
_NORMAL = State.NORMAL.value  # an attribute of an enumeration costs more than all the rest


def report_of(message: Pack | Single, gantry: str, received_at: float, body: bytes) -> Received:
    """Return the report of a pack or a single value: `body` is its line without the LF, as
    `encode` spells it. Packs whose `packID` is one number in two spellings have one key.
    """
    items: Sequence[Item | Single]
    if isinstance(message, Pack):
        method, items, key = "req200", message.eq_data, message.pack_id
        if not (key.isdecimal() and key[0] != "0"):
            key = _plain(key)
            body = messages.encode(structs.replace(message, pack_id=key))[:-1]
    else:
        # A single value has no number, and may come back within seconds after another one: each
        # that comes is news. What tells it from the others is the moment of its reception.
        method, items, key = "req201", (message,), f"{received_at:.6f}"
    return Received(gantry, method, None, received_at, body, _digest(body), told(items), key)


def _digest(body: bytes) -> bytes:
    """Return the MD5, made by parts for which Python keeps its lock: the writer would take it, and
    hold it for longer than all of this takes.
    """
    made = md5(body[:_PART], usedforsecurity=False)
    for first in range(_PART, len(body), _PART):
        made.update(body[first : first + _PART])
    return made.digest()


def _plain(pack_id: str) -> str:
    number = numbers.whole(pack_id)
    return pack_id.strip() if number is None else str(number)


def told(items: Sequence[Item | Single]) -> tuple[Told, ...]:
    """Return which channels are abnormal, and which are not: a pack tells nothing of others."""
    if not [each for each in items if each.e_chan_sta != _NORMAL]:
        return _all_normal(tuple([each.e_chan for each in items]))
    conditions = {_condition(each.e_chan): each.e_chan_sta for each in items}
    conditions.pop(None, None)
    raised = frozenset(name for name, state in conditions.items() if name and state != _NORMAL)
    ended = frozenset(name for name in conditions if name and name not in raised)
    return (Told(FOGSLINK, raised, ended=ended),)


@lru_cache(256)  # the channels of a device are the same in each pack, mostly those of its neighbour
def _all_normal(channels: tuple[str, ...]) -> tuple[Told, ...]:
    ended = frozenset(name for name in map(_condition, channels) if name)
    return (Told(FOGSLINK, frozenset(), ended=ended),)


def _condition(channel: str) -> str | None:
    return channel + CHANNEL if messages.is_channel(channel) else None
