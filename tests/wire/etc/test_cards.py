"""The white list: read card by card, in slices; one bad card costs that card."""

import json
import re
from datetime import datetime
from itertools import islice
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.wire.etc.lists import read_whole
from tests.wire.material import NASTY, checked, document, json_with, outcome, some_texts
from twisted_gantry.wire.errors import BadMessage, NotJson
from twisted_gantry.wire.etc.answers import decode_answer
from twisted_gantry.wire.etc.cards import MOST_BAD, MOST_NAMED, SLICE, Offer, read_offer
from twisted_gantry.wire.etc.envelope import Answer, Card, CardList, card_answer

_DAYS = ("2019-11-29 13:58:50", "2029-11-29 13:58:50")
_VERSION = "20191129134255"


def listed(**changes: Any) -> dict[str, Any]:
    """Return the data of a good answer about cards, changed."""
    card = {"cardId": "1234567", "validTime": _DAYS[0], "invalidTime": _DAYS[1]}
    card.update({key: changes.pop(key) for key in list(changes) if key in card})
    return {
        "isExistLatestVersion": "1",
        "latestVersion": _VERSION,
        "cardInfos": [card],
        **changes,
    }


def answered(data: Any) -> bytes:
    return json.dumps({"code": "1000", "msg": "ok", "data": data}, ensure_ascii=False).encode()


def offered(body: bytes) -> Offer:
    return read_whole(decode_answer(body))


def of(data: Any) -> CardList | None:
    return offered(answered(data)).cards


ONE = CardList(_VERSION, (Card("1234567", *_DAYS),))


def test_the_sample_card_answer() -> None:
    """The answer of 4.1.5, byte for byte, is read with every card, for all its spaces."""
    got = decode_answer(document("etc-4.1.5"))
    assert (got.code, got.msg) == ("1000", "成功")
    cards = (Card("1234567", *_DAYS), Card("2234567", *_DAYS))
    assert read_whole(got) == Offer(CardList(_VERSION, cards))


@pytest.mark.parametrize(
    "body",
    [
        b'{"code":"1000","msg":"ok"}',
        b'{"code":"1000","msg":"ok","data":null}',
        b'{"code":"1000","msg":"ok","data":{}}',
        b'{"code":"1000","msg":"ok","data":""}',
        b'{"code":"1000","data":{"isExistLatestVersion":"0"}}',
        b'{"code":"1000","data":{"isExistnewVersion":0}}',
        b'{"code":"1000","data":{"isExistLatestVersion":0.0,"latestVersion":"","cardInfos":null}}',
        b'{"code":"1000","data":{"isExistLatestVersion":false,"cardInfos":[]}}',
    ],
)
def test_nothing_newer(body: bytes) -> None:
    """A platform without a list, and one without a newer list, offer nothing."""
    assert offered(body) == Offer(None)


@pytest.mark.parametrize(
    "data",
    [
        listed(),
        listed(isExistLatestVersion=1),
        listed(isExistLatestVersion=True),
        listed(isExistLatestVersion="01"),
        {**listed(), "isExistnewVersion": "1"},
        {
            ("isExistnewVersion" if k == "isExistLatestVersion" else k): v
            for k, v in listed().items()
        },
        {key: value for key, value in listed().items() if key != "isExistLatestVersion"},
        listed(latestVersion=20191129134255),
        listed(latestVersion=20191129134255.0),
        listed(cardId=1234567),
        listed(cardId=" 1234567 "),
        listed(validTime="2019-11-29T13:58:50"),
        listed(validTime="2019/11/29 13:58:50", invalidTime="2029-11-29 13:58:50.000"),
        listed(owner={"name": "x"}),
        listed(cardInfos=listed()["cardInfos"][0]),
    ],
)
def test_the_spellings_of_a_list(data: Any) -> None:
    """Flags, versions, card numbers and times mean the same in every spelling."""
    assert of(data) == ONE


@pytest.mark.parametrize(
    "data",
    [
        "newer",
        [1],
        {"isExistLatestVersion": "1"},
        listed(isExistLatestVersion="2"),
        listed(isExistLatestVersion=""),
        {**listed(), "isExistnewVersion": "0"},
        listed(latestVersion=""),
        listed(latestVersion="2019112913425"),
        listed(latestVersion="2019112913425x"),
        listed(latestVersion="２０１９１１２９１３４２５５"),
        listed(cardInfos=[]),
        listed(cardInfos=None),
        listed(cardInfos=[{"cardId": "1"}]),
        listed(cardId=""),
        listed(cardId=" "),
        listed(cardId="x" * 65),
        listed(cardId=None),
        listed(validTime=""),
        listed(validTime="2019-11-29"),
        listed(validTime="2019-02-30 13:58:50"),
        listed(invalidTime="2029-11-29 24:00:00"),
        listed(invalidTime="\x00"),
        listed(validTime="2019-W48-5 13:58:50"),
        listed(validTime="２０１９-11-29 13:58:50"),
        listed(invalidTime="9" * 10_000),
    ],
)
def test_a_list_with_a_fault_is_a_bad_message(data: Any) -> None:
    """A white list without a good card, or oddly versioned, is refused whole."""
    with pytest.raises(BadMessage):
        of(data)


def many(count: int) -> bytes:
    rows = [
        {"cardId": f"C{n}", "validTime": _DAYS[0], "invalidTime": _DAYS[1]} for n in range(count)
    ]
    return answered(listed(cardInfos=rows))


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b'"C3"', b'""'),
        (b'"C3"', b'"C3'),
        (b'"C3"', b'C3"'),
        (b'"cardId": "C3"', b'"cardId": 1e999'),
        (b'"cardId": "C3"', b'"cardId" "C3"'),
        (b'{"cardId": "C3"', b'"cardId": "C3"'),
        (b'{"cardId": "C3"', b'{{"cardId": "C3"'),
        (b'{"cardId": "C3", "validTime": "2019', b'{"cardId": "C3", "validTime": "20X9'),
        (b'{"cardId": "C3"', b'{"x": {"y": 1}, "cardId": "C3"'),
        (b'{"cardId": "C3"', b'null, {"cardId": "C3"'),
        (b'{"cardId": "C3"', b'{"cardId": "C3", "cardId": "C33"'),
    ],
)
def test_one_bad_card_costs_that_card(good: bytes, bad: bytes) -> None:
    """Whatever is wrong with a card, the others are taken, and the card is named by its place."""
    body = many(9)
    assert good in body
    offer = offered(body.replace(good, bad))
    assert offer.cards is not None
    taken = [card.card_id for card in offer.cards.cards]
    assert [each for each in taken if each != "C3"] == [f"C{n}" for n in range(9) if n != 3]
    assert offer.left_out >= 1
    assert offer.bad[0].startswith("card 4 ")
    assert {(card.valid_time, card.invalid_time) for card in offer.cards.cards} == {_DAYS}


def test_bad_cards_are_named_and_counted() -> None:
    """A bound holds for the names, not for the number."""
    rows = [{"cardId": "", "validTime": "x"}] * 20
    offer = offered(answered(listed(cardInfos=[*rows, listed()["cardInfos"][0]])))
    assert (offer.cards, offer.left_out, len(offer.bad)) == (ONE, 20, MOST_NAMED)


@pytest.mark.parametrize(
    "rows", [b"{" * 2_000_000, b"{}," * 500_000, b'{"' * 500_000, b"{1}" * 500_000, b"null," * 99]
)
def test_a_flood_ends_soon(rows: bytes) -> None:
    """A list that is all bad is read no further than its bound."""
    head = b'{"code":"1000","data":{"isExistLatestVersion":"1","latestVersion":"20200101000000",'
    steps = read_offer(decode_answer(head + b'"cardInfos":[' + rows + b"]}}"))
    with pytest.raises(BadMessage):
        list(islice(steps, MOST_BAD // SLICE + 1))


def test_braces_in_a_text_are_no_card() -> None:
    """A text may hold braces and quotes."""
    for name in ("a}b", "{a}", '"}', "]", '"{"', "\\"):
        found = of(listed(cardId=name, owner=name))
        assert found == CardList(_VERSION, (Card(name, *_DAYS),))


@pytest.mark.parametrize("keep", [0.3, 0.5, 0.9])
def test_a_list_that_is_cut_is_refused(keep: float) -> None:
    """Half a list would lock half of the crew out."""
    body = many(50)
    with pytest.raises(BadMessage, match="cut"):
        offered(body[: int(len(body) * keep)])


def test_the_code_may_stand_behind_the_list() -> None:
    """The members of the answer may come in any order."""
    body = json.dumps({"data": listed(), "more": [], "code": 1000}).encode()
    assert decode_answer(body).code == "1000"
    assert offered(body).cards == ONE


def test_a_long_list_is_read_in_slices() -> None:
    """Each step reads a bounded number of cards."""
    answer = decode_answer(many(10 * SLICE))
    steps = read_offer(answer)
    assert sum(1 for _ in steps) == 10
    assert answer.data["cardInfos"] == []


@pytest.mark.parametrize("name", NASTY)
def test_nasty_answers_about_cards(name: str) -> None:
    """Nasty bytes are an offer or an error of the wire."""
    outcome(lambda: offered(NASTY[name]), NotJson, BadMessage)


@given(
    json_with(
        "isExistLatestVersion", "latestVersion", "cardInfos", "cardId", "validTime", "invalidTime"
    ),
    st.sampled_from([None, "isExistLatestVersion", "latestVersion", "cardInfos", "cardId"]),
)
@checked
def test_any_json_about_cards(value: Any, key: str | None) -> None:
    """Any JSON, in place of the whole or of one field, is a list, nothing newer, or BadMessage."""
    data = value if key is None else listed(**{key: value})
    got = outcome(lambda: read_whole(Answer("1000", data=data)), BadMessage)
    assert isinstance(got, Offer | BadMessage)


_days = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001 - the gantry's
    lambda day: day.strftime("%Y-%m-%d %H:%M:%S")
)
_cards = st.builds(
    Card, some_texts.map(lambda t: "x" + t + "x"), valid_time=_days, invalid_time=_days
)


@given(
    st.from_regex(r"[0-9]{14}", fullmatch=True).filter(lambda version: version > "1"),
    st.lists(_cards, min_size=1, max_size=4).map(tuple),
)
@checked
def test_a_list_is_read_as_it_was_offered(version: str, cards: tuple[Card, ...]) -> None:
    """Decoding undoes what the platform answers to a gantry without a list."""
    assume(re.fullmatch("[0-9]{14}", version))
    offer = CardList(version, cards)
    assert offered(card_answer("0", offer).encode()) == Offer(offer)


@pytest.mark.parametrize(
    ("current", "newer"),
    [("0", True), ("20191129134254", True), ("20191129134255", False), ("20991231235959", False)],
)
def test_only_a_newer_list_is_offered(current: str, newer: bool) -> None:
    """A gantry is offered a list that is newer than its own, and else told there is none."""
    answer = card_answer(current, ONE)
    assert offered(answer.encode()).cards == (ONE if newer else None)
    assert answer.data["isExistLatestVersion"] == ("1" if newer else "0")
    assert offered(card_answer(current, None).encode()).cards is None
