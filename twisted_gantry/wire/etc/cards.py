"""The white list that a platform offers, read card by card: one bad card costs that card.

Source: the ETC document, section 4.1. A list of ten thousand cards is about 1 MB; it is read in
slices, so that no list holds the reactor.
"""

import re
from collections.abc import Generator, Iterator
from itertools import islice
from typing import Any, NamedTuple

from twisted_gantry.wire.errors import BadMessage, WireError
from twisted_gantry.wire.etc.envelope import Answer, Card, CardList, is_list_version
from twisted_gantry.wire.etc.times import local_text
from twisted_gantry.wire.json import loads, salvage_text
from twisted_gantry.wire.numbers import flag, text, whole

SLICE = 200
"""Cards that are read in one step."""
MOST_NAMED = 5
"""Bad cards that are named; all are counted."""
MOST_BAD = 1000
"""Bad cards of a list that is taken; a list with more is refused, and read no further."""
MOST_CARDS = 100_000
LONGEST_ID = 64

# Bounds and possessive quantifiers: no run of blanks makes these patterns slow.
_START = re.compile(rb'cardInfos["\'\s]{0,20}+:\s{0,20}+\[')
# The cards hold no brackets; what is between two cards is no part of any.
# The lookahead is what a possessive group would be: before Python 3.11.5 such a group keeps what
# its last, failed repetition has taken.
_WHOLE = re.compile(rb"(?=((?:[^{}\[\]]{0,4000}+\{[^{}]{0,4000}+\})*))\1[^{}\[\]]{0,4000}+\]")
_CARD = re.compile(rb"\{[^{}]*\}")
# A card with braces in its texts. Used only where the plain form does not fit: behind a lost quote
# this form runs on into other cards.
_QUOTED_CARD = re.compile(rb'\{[^{}"]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^{}"]*)*\}', re.DOTALL)
_LONGEST_CARD = 1000
_BETWEEN = re.compile(rb"[\s,]*+")


class Offer(NamedTuple):
    """A white list that is newer, None if there is none; `bad` says what is wrong with the cards
    that were left out, `left_out` is their number.
    """

    cards: CardList | None
    bad: tuple[str, ...] = ()
    left_out: int = 0


def _end_of_list(body: bytes, start: int) -> int:
    """Return the place behind the `]` of a list, 0 if there is none."""
    # A pattern takes 50 ms for a hundred thousand cards; between two cards, the braces match.
    first = body.find(b"]", start)
    if first >= 0 and body.count(b"{", start, first) == body.count(b"}", start, first):
        return first + 1
    end = _WHOLE.match(body, start)
    return end.end() if end is not None else body.rfind(b"]") + 1


def split_list(body: bytes) -> tuple[bytes, bytes]:
    """Return an answer with an empty list of cards, and the bytes of the list after its `[`, which
    are empty without a list. A list with its end has its `]`.
    """
    start = _START.search(body)
    if start is None:
        return body, b""
    stop = _end_of_list(body, start.end())
    if stop <= start.end():
        return body[: start.end()], body[start.end() :]
    return body[: start.end()] + body[stop - 1 :], body[start.end() : stop]


def read_offer(answer: Answer) -> Generator[None, None, Offer]:
    """Read the list of an answer to `queryAndGetCardInfo` in steps of `SLICE` cards; the generator
    returns the offer. An answer without `data` offers nothing. Raises BadMessage for a list that is
    cut, is past the bounds or has no good card, and for a malformed version.
    """
    fields = answer.data
    if fields is None or fields in ({}, [], ""):
        return Offer(None)
    if not isinstance(fields, dict):
        raise BadMessage("data is no object")
    if not _is_newer(fields):
        return Offer(None)
    version = _version(fields.get("latestVersion"))
    cards: list[Card] = []
    bad: list[str] = []
    left_out = 0
    rows = _rows(answer, fields.get("cardInfos"))
    place = 0
    while slice_ := list(islice(rows, SLICE)):
        for raw in slice_:
            place += 1
            found = read_card(raw)
            if isinstance(found, Card):
                cards.append(found)
                continue
            left_out += 1
            if left_out > MOST_BAD:
                raise BadMessage("; ".join([f"a white list with over {MOST_BAD} bad cards", *bad]))
            if len(bad) < MOST_NAMED:
                bad.append(f"card {place} {found.en}")
        if place > MOST_CARDS:
            raise BadMessage(f"a white list of over {MOST_CARDS} cards")
        yield
    if not cards:
        raise BadMessage("; ".join(["a white list without a good card", *bad]))
    return Offer(CardList(version, tuple(cards)), tuple(bad), left_out)


def _is_newer(fields: dict[str, Any]) -> bool:
    # A description in the document calls the field by the second name.
    given = [fields[key] for key in ("isExistLatestVersion", "isExistnewVersion") if key in fields]
    if not given:
        return "cardInfos" in fields
    flags = {flag(each) for each in given}
    if len(flags) != 1 or None in flags:
        raise BadMessage("isExistLatestVersion is neither 0 nor 1")
    return True in flags


def _version(given: Any) -> str:
    number = whole(given)
    small = number is not None and 0 <= number < 10**14
    version = str(number) if small else text(given) or ""
    if not is_list_version(version):
        raise BadMessage("latestVersion is not yyyyMMddHHmmss")
    return version


def _rows(answer: Answer, given: Any) -> Iterator[Any]:
    """Return the cards as they came, each as its bytes or decoded."""
    if answer.cards:
        return _in_bytes(answer.cards)
    return iter(given if isinstance(given, list) else [given] if isinstance(given, dict) else [])


def _in_bytes(raw: bytes) -> Iterator[bytes]:
    """Yield each card, and what stands between two cards if that is something. Raises BadMessage
    at the end of a list that is cut.
    """
    at = 0
    while (start := raw.find(b"{", at)) >= 0:
        end = _end_of_card(raw, start)
        if end is None:
            break
        if not _BETWEEN.fullmatch(raw, at, start):
            yield raw[at:start]
        yield raw[start:end]
        at = end
    rest = raw[at:]
    if not rest.endswith(b"]"):
        raise BadMessage("a white list that is cut")
    if not _BETWEEN.fullmatch(rest[:-1]):
        yield rest[:-1]


def _end_of_card(raw: bytes, start: int) -> int | None:
    plain = _CARD.match(raw, start)
    if plain is None or _quotes(plain.group()) % 2:
        quoted = _QUOTED_CARD.match(raw, start, start + _LONGEST_CARD)
        if quoted is not None and _is_json(quoted.group()):
            return quoted.end()
    if plain is None:  # an object within the card: the card ends before the next one
        inner = raw.find(b"{", start + 1)
        return inner if inner >= 0 else None
    return plain.end()


def _quotes(raw: bytes) -> int:
    return raw.count(b'"') - raw.count(b'\\"')


def _is_json(raw: bytes) -> bool:
    try:
        loads(raw)
    except WireError:
        return False
    return True


class CardFault(NamedTuple):
    """What is wrong with a card, a predicate in English and Chinese."""

    en: str
    zh: str


def read_card(raw: Any) -> Card | CardFault:
    """Return a card of its bytes or of its decoded fields, or what is wrong with it."""
    try:
        fields = salvage_text(raw).value if isinstance(raw, bytes) else raw
    except WireError:
        fields = None
    if not isinstance(fields, dict):
        return CardFault("is no object", "不是对象")
    card_id = text(fields.get("cardId")) or ""
    if not 0 < len(card_id) <= LONGEST_ID:
        en = f"has a cardId that is empty or longer than {LONGEST_ID}"
        return CardFault(en, f"的cardId为空或超过{LONGEST_ID}个字符")
    times = []
    for key in ("validTime", "invalidTime"):
        moment = local_text(text(fields.get(key)) or "")
        if moment is None:
            named = repr(card_id[:20])
            return CardFault(
                f"({named}) has a {key} that is no time", f"（{named}）的{key}不是时间"
            )
        times.append(moment[:19])
    return Card(card_id, *times)
