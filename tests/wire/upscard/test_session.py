"""The conversation with a UPS card, on a clock that the tests move."""

import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from tests.wire.material import NASTY, SECRET, checked, likely_bytes
from twisted_gantry.wire.upscard.messages import (
    CardCommand,
    CardRefusal,
    ErrorCode,
    Result,
    decode_command,
)
from twisted_gantry.wire.upscard.session import (
    BUSY_PAUSE,
    GRACE,
    MAX_QUEUE,
    REMEMBERED_SESSIONS,
    Ending,
    Exchange,
    NoReply,
    NotSent,
    Session,
    Unreachable,
    Unread,
)

_UID = "201701013805"


class Card:
    """The other end: one ordered list of what was sent and how each command ended."""

    def __init__(
        self, numbers: Callable[[], str] | None = None, password: str | None = None
    ) -> None:
        self.clock = Clock()
        self.events: list[str] = []
        self.sent: list[CardCommand] = []
        self.at_transmission: Callable[[], object] = lambda: None
        count = itertools.count(1)
        self.session = Session(
            self._transmit, self.clock, numbers or (lambda: f"{next(count):08d}"), lambda: password
        )

    def _transmit(self, data: bytes) -> None:
        command = decode_command(data)
        self.sent.append(command)
        self.events.append(f"sent {command.cmd}")
        self.at_transmission()

    def ask(self, cmd: str, then: Callable[[], object] = lambda: None, **details: Any) -> Exchange:
        """Submit a command; its ending goes into the list, and then `then` is called."""

        def ended(ending: Ending) -> None:
            match ending:
                case Result(value=value):
                    self.events.append(f"{cmd} ended {value}")
                case CardRefusal():
                    self.events.append(f"{cmd} ended {ending.name}")
                case _:
                    self.events.append(f"{cmd} ended {type(ending).__name__}: {ending}")
            then()

        exchange = Exchange(cmd, ended, **details)
        self.session.submit(exchange)
        return exchange

    def answer(self, value: str = "(OK", place: int = -1, **changes: str) -> bytes:
        """Answer a command that was sent, the last one unless `place` says which."""
        command = self.sent[place]
        fields = {"uid": _UID, "session": command.session, "cmd": command.cmd, "value": value}
        frame = Result(**{**fields, **changes}).encode()
        self.session.received(frame)
        return frame

    def refuse(self, code: int, place: int = -1, **changes: str | None) -> None:
        """Refuse a command that was sent."""
        command = self.sent[place]
        fields: dict[str, str | None] = {
            "uid": _UID,
            "session": command.session,
            "cmd": command.cmd,
        }
        self.session.received(CardRefusal(result=code, **{**fields, **changes}).encode())

    def done(self) -> None:
        """Check that nothing is left to happen."""
        assert not self.session.in_flight
        assert self.clock.getDelayedCalls() == []


@pytest.fixture
def card() -> Iterator[Card]:
    """A card whose link is up; after each test nothing is left to happen."""
    made = Card()
    made.session.opened()
    yield made
    made.done()


def test_a_command_and_its_reply(card: Card) -> None:
    """A command is sent at once, and ends with its reply."""
    card.ask("QAD")
    assert card.session.in_flight
    card.answer("(1 2 3")
    assert card.events == ["sent QAD", "QAD ended (1 2 3"]
    assert card.session.counts == {}


def test_an_error_is_an_ending(card: Card) -> None:
    """A refusal other than BUSY ends the command with its code."""
    card.ask("SON")
    card.refuse(ErrorCode.PASSWORD_ERROR)
    assert card.events == ["sent SON", "SON ended 103 PASSWORD_ERROR"]


def test_a_refusal_without_a_session_is_of_the_one_in_flight(card: Card) -> None:
    """The code in an echo of broken JSON ends the outstanding command: it can be no other's."""
    card.ask("QAD")
    card.session.received(b'{"result": "101", {"session": "0000}')
    assert card.events == ["sent QAD", "QAD ended 101 JSON_FORMAT"]


def test_what_goes_with_a_command() -> None:
    """Password, new password and host go with each command that has them."""
    sent: list[bytes] = []
    session = Session(sent.append, Clock(), lambda: "1", lambda: "old", "http://a/post")
    session.opened()
    session.submit(Exchange("QAD", lambda _: None, new_password="new"))
    session.closed()
    assert decode_command(sent[0], over_http=True) == CardCommand(
        session="1", password="old", new_password="new", host="http://a/post", cmd="QAD"
    )


def test_one_command_is_in_flight(card: Card) -> None:
    """Queries wait for one another, and go out in the order they were asked for."""
    for cmd in ("QAD", "RTD", "Q3"):
        card.ask(cmd)
    assert card.events == ["sent QAD"]
    card.answer("(1")
    card.answer("(2")
    card.answer("(3")
    assert sorted(card.events) == sorted(
        ["sent QAD", "QAD ended (1", "sent RTD", "RTD ended (2", "sent Q3", "Q3 ended (3"]
    )
    sent = [event for event in card.events if event.startswith("sent")]
    ended = [event for event in card.events if not event.startswith("sent")]
    assert sent == ["sent QAD", "sent RTD", "sent Q3"]
    assert ended == ["QAD ended (1", "RTD ended (2", "Q3 ended (3"]


def test_controls_overtake_queries(card: Card) -> None:
    """A control goes before all queries that wait and behind the controls that wait."""
    card.ask("QAD")
    card.ask("RTD")
    card.ask("T", ahead=True)
    card.ask("Q3")
    card.ask("BZON", ahead=True)
    while card.session.in_flight:
        card.answer()
    assert [command.cmd for command in card.sent] == ["QAD", "T", "BZON", "RTD", "Q3"]


def test_silence_ends_a_command(card: Card) -> None:
    """Without a reply a command ends as NoReply when its patience is over, and not before."""
    card.ask("QAD", patience=3.0)
    card.clock.advance(2.9)
    assert card.events == ["sent QAD"]
    card.clock.advance(0.1)
    assert card.events == ["sent QAD", "QAD ended NoReply: no reply in time"]
    assert card.session.counts == {"missed": 1}


def test_the_deadline_bounds_the_patience(card: Card) -> None:
    """The deadline ends a command even if there is patience left for its reply."""
    card.ask("QAD", deadline=1.0, patience=3.0)
    card.clock.advance(1.0)
    assert card.events == ["sent QAD", "QAD ended NoReply: no reply in time"]


def test_the_deadline_counts_from_the_first_transmission(card: Card) -> None:
    """The time that a command waited for its turn is not taken from its deadline."""
    card.ask("QAD", deadline=4.0, patience=4.0)
    card.ask("RTD", deadline=4.0, patience=4.0)
    card.clock.advance(4.0)
    card.clock.advance(3.9)
    card.answer("(late enough")
    assert card.events[-1] == "RTD ended (late enough"


@pytest.mark.parametrize("cmd", ["QAD", "T", "SOFF"])
def test_a_lost_reply_is_never_asked_for_again(card: Card, cmd: str) -> None:
    """A command whose reply is lost is sent once and no more: a test must not run twice."""
    card.ask(cmd, ahead=True)
    card.clock.pump([0.1] * 1000)
    assert card.events == [f"sent {cmd}", f"{cmd} ended NoReply: no reply in time"]


def test_busy_is_asked_again_with_a_doubling_pause(card: Card) -> None:
    """After BUSY the command is sent again, each time after twice the pause and anew numbered."""
    card.ask("T", ahead=True)
    for pause in (BUSY_PAUSE, 2 * BUSY_PAUSE, 4 * BUSY_PAUSE):
        before = len(card.events)
        card.refuse(ErrorCode.BUSY)
        card.clock.advance(pause * 0.99)
        assert len(card.events) == before
        card.clock.advance(pause * 0.011)
        assert len(card.events) == before + 1
    card.answer()
    assert card.events == ["sent T"] * 4 + ["T ended (OK"]
    assert len({command.session for command in card.sent}) == 4
    assert card.session.counts == {"busy": 3}


def test_the_pause_begins_anew_with_each_command(card: Card) -> None:
    """The doubling of one command is not the next one's."""
    for _ in range(3):
        card.ask("QAD")
        card.refuse(ErrorCode.BUSY)
        card.clock.advance(BUSY_PAUSE)
        card.answer()
    assert card.events == ["sent QAD", "sent QAD", "QAD ended (OK"] * 3


def test_a_card_that_stays_busy_is_a_noreply_at_the_deadline(card: Card) -> None:
    """BUSY to the end is NoReply when the deadline comes, and nothing is sent after it."""
    card.ask("QAD", deadline=1.0)
    card.refuse(ErrorCode.BUSY)
    card.clock.advance(BUSY_PAUSE)
    card.refuse(ErrorCode.BUSY)
    card.clock.advance(2 * BUSY_PAUSE)
    card.refuse(ErrorCode.BUSY)  # the next pause, 4 * BUSY_PAUSE, would pass the deadline
    card.clock.advance(0.99 - 3 * BUSY_PAUSE)
    assert card.events == ["sent QAD"] * 3
    card.clock.advance(0.02)
    assert card.events == ["sent QAD"] * 3 + ["QAD ended StayedBusy: the card stayed BUSY (201)"]
    card.clock.advance(100)
    assert len(card.events) == 4


def test_a_busy_card_that_falls_silent_is_a_noreply_at_the_deadline(card: Card) -> None:
    """After a BUSY, patience for the next reply ends with the deadline of the whole."""
    card.ask("QAD", deadline=1.0, patience=1.0)
    card.clock.advance(0.5)
    card.refuse(ErrorCode.BUSY)
    card.clock.advance(BUSY_PAUSE)
    card.clock.advance(0.3)
    assert card.events == ["sent QAD"] * 2 + ["QAD ended NoReply: no reply in time"]


def test_others_wait_while_a_busy_card_rests(card: Card) -> None:
    """During the pause the command is still the one in flight: even a control waits."""
    card.ask("QAD")
    card.refuse(ErrorCode.BUSY)
    card.ask("T", ahead=True)
    assert card.session.in_flight
    card.clock.advance(BUSY_PAUSE)
    assert card.events == ["sent QAD", "sent QAD"]
    card.answer()
    card.answer()
    assert [command.cmd for command in card.sent] == ["QAD", "QAD", "T"]


def test_a_late_reply_is_counted_and_dropped(card: Card) -> None:
    """A reply to a command that was given up does not end the one that followed it."""
    card.ask("QAD", patience=3.0)
    card.clock.advance(3.0)
    card.ask("RTD")
    card.answer("(late", place=0)
    assert card.session.counts == {"missed": 1, "late": 1}
    assert card.session.in_flight
    card.answer("(in time")
    assert card.events[-1] == "RTD ended (in time"


def test_a_duplicate_reply_is_counted_and_dropped(card: Card) -> None:
    """A second reply to the same command does not end the one that followed it."""
    card.ask("QAD")
    card.ask("QAD")
    card.answer("(first")
    card.answer("(again", place=0)
    assert card.session.counts == {"duplicate": 1}
    assert card.session.in_flight
    card.answer("(second")
    assert [e for e in card.events if "ended" in e] == ["QAD ended (first", "QAD ended (second"]
    card.answer("(again")
    assert card.session.counts == {"duplicate": 2}


def test_a_foreign_uid_is_counted_and_dropped(card: Card) -> None:
    """Once the card's uid is known, a reply under another one ends nothing."""
    card.ask("QAD")
    card.answer("(1")
    card.ask("T", ahead=True)
    card.answer("(OK", uid="666")
    card.refuse(ErrorCode.PASSWORD_ERROR, uid="666")
    card.refuse(ErrorCode.BUSY, uid="666")
    assert card.session.counts == {"foreign": 3}
    assert card.events == ["sent QAD", "QAD ended (1", "sent T"]
    card.answer("(OK")
    assert card.events[-1] == "T ended (OK"


def test_a_uid_is_its_value(card: Card) -> None:
    """A card that writes its number in two ways is one card."""
    for uid in ("1", "01", "1.0", " 1 "):
        card.ask("QAD")
        card.answer(f"({uid}", uid=uid)
        assert card.events[-1] == f"QAD ended ({uid}"
    assert not card.session.counts["foreign"]


@pytest.mark.parametrize("code", [ErrorCode.JSON_FORMAT, ErrorCode.BUSY])
def test_a_foreign_uid_is_foreign_without_a_session_too(card: Card, code: ErrorCode) -> None:
    """A refusal that names no session but another card's uid ends nothing and teaches nothing."""
    card.ask("QAD")
    card.answer("(1")
    card.ask("T", ahead=True)
    card.refuse(code, session=None, uid="666")
    assert card.session.counts == {"foreign": 1}
    assert card.events == ["sent QAD", "QAD ended (1", "sent T"]
    card.answer("(OK")
    assert card.events[-1] == "T ended (OK"


def test_another_card_may_answer_after_a_reconnection(card: Card) -> None:
    """The uid is learnt anew with each link: a card may have been replaced."""
    card.ask("QAD")
    card.answer("(1")
    card.session.closed()
    card.session.opened()
    card.ask("QAD")
    card.answer("(2", uid="another")
    assert card.events[-1] == "QAD ended (2"


def test_a_reply_to_another_instruction_is_foreign(card: Card) -> None:
    """A result that names another instruction does not end the command, whatever its session."""
    card.ask("T", ahead=True)
    card.answer("(220.1", cmd="QAD")
    assert card.session.counts == {"foreign": 1}
    assert card.session.in_flight
    card.answer("(OK", cmd=" t ")
    assert card.events == ["sent T", "T ended (OK"]


@pytest.mark.parametrize("cmd", [" Q3 ", "q3", "Q3\r"])
def test_white_space_and_case_of_an_instruction_do_not_matter(card: Card, cmd: str) -> None:
    """An instruction that is echoed trimmed or in upper case is the same instruction."""
    card.ask(cmd)
    card.answer("(1", cmd="Q3")
    assert card.events[-1] == f"{cmd} ended (1"


def test_an_unknown_session_is_counted_and_dropped(card: Card) -> None:
    """A reply to what was never asked ends nothing, with a command in flight and without."""
    card.ask("QAD")
    card.answer("(no", session="99999999")
    card.answer("(no", session="x")
    assert card.session.counts == {"unknown": 2}
    card.answer("(yes")
    card.session.received(b'{"result":"101"}')
    assert card.session.counts == {"unknown": 3}
    assert card.events == ["sent QAD", "QAD ended (yes"]


def test_malformed_replies_are_counted_and_dropped(card: Card) -> None:
    """What is no reply at all ends nothing."""
    card.ask("QAD")
    for frame in (b"", b"{", b"[]", b"{}", b'{"result":"xxx"}', b'{"session":"00000001"}'):
        card.session.received(frame)
    assert card.session.counts == {"malformed": 6}
    card.answer("(yes")
    assert card.events == ["sent QAD", "QAD ended (yes"]


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (b"{nonsense}", "the reply cannot be read: not JSON: no colon behind a key at byte 9"),
        (b'{"session":"00000001"}', "the reply cannot be read: a reply without a value"),
        (b'{"value":"(1"}', 'without session and cmd; it is {"value":"(1"}'),
        (b'{"session":1,"cmd":"RTD","value":"("}', "a reply to 'RTD' came"),
    ],
)
def test_what_came_in_place_of_the_reply_is_told_soon(card: Card, frame: bytes, told: str) -> None:
    """A reply that cannot be read ends the command after GRACE, not after its patience, and the
    error quotes it: it never says that no reply came.
    """
    card.ask("QAD", patience=3.0)
    card.session.received(frame)
    card.clock.advance(GRACE - 0.1)
    card.session.received(frame)
    assert card.events == ["sent QAD"]
    card.clock.advance(0.1)
    [_, ended] = card.events
    assert ended.startswith("QAD ended Unread: ")
    assert told in ended


def test_a_reply_to_an_unknown_session_is_told_at_the_end(card: Card) -> None:
    """A reply under a number that was never given may be any other's: the patience goes on."""
    card.ask("QAD", patience=3.0)
    card.answer("(1", session="12")
    card.clock.advance(2.9)
    assert card.events == ["sent QAD"]
    card.clock.advance(0.1)
    assert card.events[-1] == "QAD ended Unread: a reply to session '12' came"


def test_the_reply_may_follow_what_cannot_be_read(card: Card) -> None:
    """Within GRACE the right reply still counts, and the next command begins afresh."""
    card.ask("T")
    card.session.received(b"{nonsense}")
    card.clock.advance(GRACE / 2)
    card.answer("(OK")
    card.ask("QAD", patience=3.0)
    card.clock.advance(3.0)
    assert card.events[1] == "T ended (OK"
    assert card.events[-1] == "QAD ended NoReply: no reply in time"


def test_an_object_without_its_end_is_taken_when_the_time_is_over() -> None:
    """The last brace may be lost: what is whole of the reply counts then."""
    clock, endings = Clock(), list[Ending]()
    rests = [b'{"session":"5","value":"(1"', b'{"session":"5","value":"(', b""]
    numbers = itertools.count(5)
    session = Session(
        lambda data: None,
        clock,
        lambda: str(next(numbers)),
        lambda: None,
        unfinished=lambda: rests.pop(0).replace(b"5", b"%d" % (7 - len(rests))),
    )
    for _ in range(3):
        session.opened()
        session.submit(Exchange("QAD", endings.append, patience=3.0))
        clock.advance(3.0)
        session.closed()
    assert endings[0] == Result(session="5", value="(1")
    assert isinstance(endings[1], Unread)
    assert (type(endings[2]), str(endings[2])) == (NoReply, "no reply in time")


def test_a_quoted_reply_shows_no_password() -> None:
    """A card may echo what it was sent; the error masks the passwords of it."""
    clock, endings = Clock(), list[Ending]()
    session = Session(lambda data: None, clock, lambda: "5", lambda: SECRET[:15])
    session.opened()
    session.submit(Exchange("QAD", endings.append, new_password="n3w"))
    session.received(b'{"echo":"%s n3w","pass":"other" "x"}' % SECRET[:15].encode())
    clock.advance(GRACE)
    [ending] = endings
    assert isinstance(ending, Unread)
    assert "*** ***" in str(ending)
    assert not [word for word in (SECRET[:15], "n3w", "other") if word in str(ending)]


@pytest.mark.parametrize("session", ["1.0", " 1 ", "01", 1, 1.0, "1\0"])
def test_a_session_in_any_spelling_of_its_number(card: Card, session: str | float) -> None:
    """A card may send the session as a number, as a double or with blanks."""
    card.ask("QAD")
    card.session.received(json.dumps({"session": session, "cmd": "QAD", "value": "(1"}).encode())
    assert card.events[-1] == "QAD ended (1"


@pytest.mark.parametrize("cmd", ["QAD", "T"])
def test_a_reply_without_a_session_is_of_the_one_in_flight(card: Card, cmd: str) -> None:
    """A card that leaves the session away is believed by the name of the command."""
    card.ask(cmd)
    card.session.received(b'{"cmd":"%s","value":"(OK"}' % cmd.encode())
    assert card.events[-1] == f"{cmd} ended (OK"


def test_a_late_nameless_reply_to_a_control_is_not_taken_for_the_next(card: Card) -> None:
    """After a control without a reply, one without a session may be the late one: it is no proof.
    A query may be answered late: its values are as good.
    """
    for cmd in ("T", "QAD"):
        card.ask(cmd, patience=3.0)
        card.clock.advance(3.0)
        card.ask(cmd)
        card.session.received(b'{"cmd":"%s","value":"(OK"}' % cmd.encode())
        card.clock.advance(5.0)
    assert [event.split(":")[0] for event in card.events if "ended" in event] == [
        "T ended NoReply",
        "T ended NoReply",
        "QAD ended NoReply",
        "QAD ended (OK",
    ]


def test_a_command_that_was_not_sent_says_so_when_the_link_is_lost() -> None:
    """A transport that waits for a connection has the command end as NotSent, not as unknown."""
    card = Card()
    card.session.opened()
    card.ask("T")
    card.session.closed(sent=False)
    assert card.events == ["sent T", "T ended NotSent: the link was lost"]
    card.done()


def test_a_second_busy_during_the_pause_is_a_duplicate(card: Card) -> None:
    """A BUSY, or anything else, that comes twice for one transmission counts once."""
    card.ask("QAD")
    card.refuse(ErrorCode.BUSY)
    card.refuse(ErrorCode.BUSY)
    card.answer("(too late")
    card.refuse(ErrorCode.BUSY, session=None)
    card.refuse(ErrorCode.PASSWORD_ERROR, session=None)
    assert card.session.counts == {"busy": 1, "duplicate": 4}
    card.clock.advance(BUSY_PAUSE)
    card.answer("(at last")
    assert card.events == ["sent QAD", "sent QAD", "QAD ended (at last"]


def test_replies_to_an_earlier_transmission_are_duplicates(card: Card) -> None:
    """Once a BUSY command was sent again, a further reply to its first number ends nothing."""
    card.ask("QAD")
    card.refuse(ErrorCode.BUSY)
    card.clock.advance(BUSY_PAUSE)
    card.answer("(first number", place=0)
    assert card.session.counts == {"busy": 1, "duplicate": 1}
    assert card.session.in_flight
    card.answer("(second number")
    assert card.events[-1] == "QAD ended (second number"


def test_without_a_link_nothing_is_sent() -> None:
    """Before the link is up a command ends at once as NotSent, and strays are survived."""
    card = Card()
    card.ask("QAD")
    card.session.received(b'{"result":"201"}')
    card.session.received(b'{"uid":"1","session":"1","cmd":"QAD","value":"("}')
    card.session.closed()
    assert card.events == ["QAD ended NotSent: not connected"]
    assert card.session.counts == {"unknown": 2}
    card.done()


def test_a_lost_link_ends_everything(card: Card) -> None:
    """The one in flight ends as NoReply, those that wait as NotSent, in their order."""
    card.ask("QAD")
    card.ask("RTD")
    card.ask("T", ahead=True)
    card.session.closed()
    assert card.events == [
        "sent QAD",
        "QAD ended NoReply: the link was lost before the reply came",
        "T ended NotSent: the link was lost",
        "RTD ended NotSent: the link was lost",
    ]


def test_a_link_lost_in_a_pause_ends_the_command(card: Card) -> None:
    """A command that waits for a BUSY card ends as NoReply when the link is lost."""
    card.ask("QAD")
    card.refuse(ErrorCode.BUSY)
    card.session.closed()
    card.clock.advance(100)
    assert card.events == ["sent QAD", "QAD ended NoReply: the link was lost before the reply came"]


def test_a_new_link_begins_empty(card: Card) -> None:
    """What was lost with a link is not sent on the next, and its replies are late."""
    card.ask("T", ahead=True)
    card.session.closed()
    card.session.opened()
    assert card.events == ["sent T", "T ended NoReply: the link was lost before the reply came"]
    card.answer("(OK")
    assert card.session.counts == {"late": 1}
    card.ask("QAD")
    card.answer("(1")
    assert card.events[-1] == "QAD ended (1"


def test_what_the_transport_could_not_deliver_ends_at_once(card: Card) -> None:
    """A command that never left is NotSent, one that may have arrived NoReply; the next goes on."""
    card.ask("QAD")
    card.ask("T")
    card.session.undelivered(Unreachable("no way"))
    assert card.events == ["sent QAD", "QAD ended Unreachable: no way", "sent T"]
    card.session.undelivered(NoReply("broken off"))
    assert card.events[-1] == "T ended NoReply: broken off"
    card.answer("(OK", place=1)
    card.answer("(1 2", place=0)
    assert card.session.counts == {"late": 1, "unknown": 1}


def test_news_of_a_command_that_is_over_ends_nothing(card: Card) -> None:
    """A transport may learn late that it failed: after the reply, in a pause, without a link."""
    card.session.undelivered(NoReply("idle"))
    card.ask("QAD")
    card.refuse(ErrorCode.BUSY)
    card.session.undelivered(NoReply("paused"))
    card.clock.advance(BUSY_PAUSE)
    card.answer("(1")
    assert card.events == ["sent QAD", "sent QAD", "QAD ended (1"]
    card.session.closed()
    card.session.undelivered(NoReply("closed"))


def test_a_transport_may_fail_at_once(card: Card) -> None:
    """A command that cannot be delivered while it is being sent ends, and so do those behind it."""
    card.at_transmission = lambda: card.session.undelivered(Unreachable("no way"))
    card.ask("QAD", lambda: card.ask("T"))
    assert card.events == [
        "sent QAD",
        "QAD ended Unreachable: no way",
        "sent T",
        "T ended Unreachable: no way",
    ]


def test_the_host_goes_with_every_command() -> None:
    """Over HTTP each command says where its result is to go."""
    sent: list[bytes] = []
    session = Session(sent.append, Clock(), lambda: "12345678", lambda: None, "http://a/post")
    session.opened()
    session.submit(Exchange("QAD", lambda _: None))
    assert decode_command(sent[0], over_http=True).host == "http://a/post"


def test_an_offered_reply_must_name_a_session_of_ours(card: Card) -> None:
    """What anybody may offer is taken only with the number in flight; others are not looked at."""
    card.ask("QAD")
    [command] = card.sent
    offered = card.session.offered
    assert not offered(CardRefusal(result=103).encode())
    assert not offered(b'{"result":"101" trailing')
    assert not offered(Result(uid=_UID, session="9", cmd="QAD", value="(1").encode())
    assert not offered(b"garbage")
    assert card.session.counts == {}
    result = Result(uid=_UID, session=command.session, cmd="QAD", value="(1").encode()
    assert offered(result)
    assert not offered(result)
    assert card.session.counts == {"duplicate": 1}
    card.session.closed()
    assert not offered(result)
    assert card.events == ["sent QAD", "QAD ended (1"]


def test_an_offered_busy_is_taken(card: Card) -> None:
    """BUSY by way of a callback makes the session ask again."""
    card.ask("QAD")
    [command] = card.sent
    assert card.session.offered(CardRefusal(result=201, session=command.session).encode())
    card.clock.advance(BUSY_PAUSE)
    card.answer("(1")
    assert card.events == ["sent QAD", "sent QAD", "QAD ended (1"]


def test_the_queue_is_bounded(card: Card) -> None:
    """Behind a full queue a command ends at once as NotSent; those within it are served."""
    card.ask("QAD")
    for place in range(MAX_QUEUE):
        card.ask(f"Q{place}")
    card.ask("T", ahead=True)
    assert card.events == ["sent QAD", f"T ended NotSent: {MAX_QUEUE} commands wait already"]
    assert card.session.counts == {"queue-full": 1}
    while card.session.in_flight:
        card.answer()
    assert len(card.sent) == MAX_QUEUE + 1


def test_a_withdrawn_command_is_passed_over(card: Card) -> None:
    """A command that is withdrawn while it waits is not sent; the one behind it is."""
    card.ask("QAD")
    card.ask("T", ahead=True).withdrawn = True
    card.ask("SON", ahead=True).withdrawn = True
    card.ask("RTD")
    card.answer("(1")
    card.answer("(2")
    assert [command.cmd for command in card.sent] == ["QAD", "RTD"]


def test_an_expired_command_is_not_sent(card: Card) -> None:
    """A command whose turn comes after its time ends unsent, and the one behind it is sent."""
    card.ask("QAD")
    card.ask("T", ahead=True, until=card.clock.seconds() + 3.0)
    card.ask("SON", ahead=True, until=card.clock.seconds() + 3.5)
    card.clock.rightNow += 3.0  # the process was stopped: input is served before timers
    card.answer("(1")
    card.answer("(2")
    assert [command.cmd for command in card.sent] == ["QAD", "SON"]
    assert "T ended NotSent: it expired before its turn" in card.events


def test_session_numbers_are_unique_among_the_last_thousand() -> None:
    """A number does not come back within a thousand commands, whatever the source hands out."""
    source = random.Random(5)
    card = Card(lambda: str(source.randrange(REMEMBERED_SESSIONS + 100)))
    card.session.opened()
    for _ in range(2 * REMEMBERED_SESSIONS):
        card.ask("QAD")
        card.answer()
    used = [command.session for command in card.sent]
    assert len(used) == 2 * REMEMBERED_SESSIONS > len(set(used))  # later they do come back
    last: dict[str, int] = {}
    for place, number in enumerate(used):
        assert place - last.get(number, -REMEMBERED_SESSIONS) >= REMEMBERED_SESSIONS
        last[number] = place
    card.done()


@pytest.mark.parametrize("how", ["answer", "refuse", "silence", "loss"])
def test_a_callback_may_submit(card: Card, how: str) -> None:
    """A command that is submitted from within `ended` is sent, or ends as NotSent without link."""
    card.ask("QAD", then=lambda: card.ask("RTD"))
    if how == "answer":
        card.answer("(1")
    elif how == "refuse":
        card.refuse(ErrorCode.COMMAND_NO)
    elif how == "silence":
        card.clock.advance(5.0)
    else:
        card.session.closed()
        assert card.events[-1] == "RTD ended NotSent: not connected"
        card.done()
        return
    assert card.events[-1] == "sent RTD"
    card.answer("(2")
    assert card.events[-1] == "RTD ended (2"


def test_a_callback_that_submits_does_not_push_in(card: Card) -> None:
    """What is submitted from within `ended` goes behind what waited already."""
    card.ask("QAD", then=lambda: card.ask("Q3"))
    card.ask("RTD")
    while card.session.in_flight:
        card.answer()
    assert [command.cmd for command in card.sent] == ["QAD", "RTD", "Q3"]


def test_a_callback_may_close(card: Card) -> None:
    """The link may be closed from within `ended`: what waited ends, and no timer is left."""
    card.ask("QAD", then=card.session.closed)
    card.ask("RTD")
    card.answer("(1")
    assert card.events[1] == "QAD ended (1"
    assert card.events[-1].startswith("RTD ended N")


def test_a_transport_may_answer_at_once(card: Card) -> None:
    """A reply that comes while the command is still being handed over counts."""
    card.at_transmission = lambda: card.answer("(now")
    card.ask("QAD")
    card.ask("RTD")
    assert card.events == ["sent QAD", "QAD ended (now", "sent RTD", "RTD ended (now"]


def test_a_transport_that_answers_twice_at_once(card: Card) -> None:
    """Two replies at once to one command end that one alone, never the next with them."""

    def twice() -> None:
        card.at_transmission = lambda: None
        card.answer("(1")
        card.answer("(again")

    card.ask("Q0")
    card.ask("QAD")
    card.ask("T", ahead=False)
    card.at_transmission = twice
    card.answer("(0")
    assert card.session.counts == {"duplicate": 1}
    assert card.session.in_flight
    card.answer("(OK")
    assert [e for e in card.events if "ended" in e] == [
        "Q0 ended (0",
        "QAD ended (1",
        "T ended (OK",
    ]


@pytest.mark.parametrize("new_password", ["", "x" * 16, SECRET + "!" * 16, "x\udcff"])
def test_a_command_that_cannot_be_sent_ends_as_notsent(card: Card, new_password: str) -> None:
    """A password that the card would refuse ends its command unsent; the next one is served."""
    card.ask("QAD", new_password=new_password)
    assert len(card.events) == 1
    assert card.events[0].startswith("QAD ended NotSent: ")
    assert "hunter2" not in card.events[0]
    card.done()
    card.ask("RTD")
    card.answer("(1")
    assert card.events[1:] == ["sent RTD", "RTD ended (1"]


def test_a_command_in_the_queue_that_cannot_be_sent(card: Card) -> None:
    """One that cannot be sent harms neither the one before it nor the one behind it."""
    card.ask("QAD")
    card.ask("Q2", new_password="")
    card.ask("RTD")
    card.answer("(1")
    assert card.session.in_flight
    card.answer("(3")
    assert [e.split(":")[0] for e in card.events if "ended" in e] == [
        "QAD ended (1",
        "Q2 ended NotSent",
        "RTD ended (3",
    ]


def test_a_password_that_cannot_be_sent_stops_nothing() -> None:
    """With a bad password in the settings each command ends as NotSent, now and after BUSY."""
    card = Card(password="x" * 16)
    card.session.opened()
    card.ask("QAD")
    card.ask("T", ahead=True)
    assert [event.split(":")[0] for event in card.events] == [
        "QAD ended NotSent",
        "T ended NotSent",
    ]
    card.done()


def test_a_password_that_turns_bad_while_the_card_is_busy() -> None:
    """A command that cannot be sent again after BUSY ends, for the card never did it."""
    clock, endings, sent, passwords = Clock(), list[Ending](), list[bytes](), ["good", "x" * 16]
    count = itertools.count()
    session = Session(sent.append, clock, lambda: str(next(count)), lambda: passwords.pop(0))
    session.opened()
    session.submit(Exchange("QAD", endings.append))
    session.received(b'{"result":"201","session":"0"}')
    clock.advance(BUSY_PAUSE)
    assert len(sent) == 1
    assert [type(ending) for ending in endings] == [NotSent]
    assert not session.in_flight
    assert clock.getDelayedCalls() == []


def test_no_picture_of_an_exchange_shows_a_password() -> None:
    """An exchange is shown without its new password: it may be logged."""
    exchange = Exchange("QAD", lambda _: None, new_password=SECRET)
    assert "QAD" in repr(exchange)
    assert SECRET not in repr(exchange) + str(exchange)


@pytest.mark.parametrize("name", NASTY)
def test_nasty_frames_end_nothing(card: Card, name: str) -> None:
    """Whatever bytes come as a reply, nothing is raised and the next reply is still taken."""
    card.ask("QAD")
    card.session.received(NASTY[name])
    assert sum(card.session.counts.values()) == 1
    card.answer("(1")
    assert card.events == ["sent QAD", "QAD ended (1"]
    card.done()


_steps = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(["QAD", "RTD", "T", "SOFF"])),
    st.tuples(st.just("answer"), st.integers(-3, -1)),
    st.tuples(st.just("busy"), st.integers(-3, -1)),
    st.tuples(st.just("refuse"), st.integers(-3, -1)),
    st.tuples(st.just("bytes"), likely_bytes),
    st.tuples(st.just("lost"), st.sampled_from([NoReply("lost"), Unreachable("no way")])),
    st.tuples(st.just("wait"), st.sampled_from([0.05, 0.2, 1.0, 3.0])),
    st.tuples(st.just("close"), st.none()),
    st.tuples(st.just("open"), st.none()),
)


@given(st.lists(_steps, max_size=40))
@checked
def test_every_command_ends_once(steps: list[tuple[str, Any]]) -> None:
    """Whatever happens, each command ends exactly once, in the end no timer is left, and at no
    time is more than one command out.
    """
    card, up, asked = Card(), False, 0
    for what, detail in steps:
        match what:
            case "ask":
                card.ask(detail, ahead=detail in {"T", "SOFF"})
                asked += 1
            case "answer" if len(card.sent) >= -detail:
                card.answer(place=detail)
            case "busy" if len(card.sent) >= -detail:
                card.refuse(ErrorCode.BUSY, place=detail)
            case "refuse" if len(card.sent) >= -detail:
                card.refuse(ErrorCode.COMMAND_NO, place=detail)
            case "bytes":
                card.session.received(detail)
            case "lost":
                card.session.undelivered(detail)
            case "wait":
                card.clock.advance(detail)
            case "close":
                card.session.closed()
                up = False
            case "open" if not up:
                card.session.opened()
                up = True
        assert len(card.clock.getDelayedCalls()) == int(card.session.in_flight)
    card.session.closed()
    assert sum(" ended " in event for event in card.events) == asked
    card.done()


def test_the_endings_are_told_apart() -> None:
    """NoReply (it may have run) and NotSent (it did not) are different errors."""
    assert not issubclass(NoReply, NotSent)
    assert not issubclass(NotSent, NoReply)
    assert issubclass(Unreachable, NotSent)
