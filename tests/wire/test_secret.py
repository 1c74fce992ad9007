"""A secret: it can be told where it must be, and is seen nowhere."""

import json
import traceback
from base64 import b64encode

import msgspec
import pytest
from twisted.logger import LogEvent, eventAsJSON, formatEvent

from twisted_gantry.wire.secret import Secret, shown, without

TEXT = "hunter2-secret"
SECRET = Secret(TEXT)


class Holder(msgspec.Struct, frozen=True):
    password: Secret | None = None


SHOWN = {
    "str": lambda: str(SECRET),
    "repr": lambda: repr(SECRET),
    "format": lambda: f"{SECRET} {SECRET!s} {SECRET!r} {SECRET!a}",
    "percent": lambda: "%s %r" % (SECRET, SECRET),  # noqa: UP031 - it is one of the ways
    "in a list": lambda: str([SECRET, {"a": (SECRET,)}]),
    "in a struct": lambda: repr(Holder(SECRET)),
    "a log line": lambda: formatEvent(
        {"log_format": "{s} {s!r} {h}", "s": SECRET, "h": Holder(SECRET)}
    ),
    "an error": lambda: str(ValueError("refused", SECRET)),
}


@pytest.mark.parametrize("way", SHOWN)
def test_it_is_never_shown(way: str) -> None:
    """However it is turned into a text, the text shows only that a secret is set."""
    shown = SHOWN[way]()
    assert TEXT not in shown
    assert "<secret>" in shown


def test_no_json_has_it() -> None:
    """It has no JSON: what would carry it by mistake fails, or says nothing."""
    with pytest.raises(TypeError):
        json.dumps({"password": SECRET})
    with pytest.raises(TypeError):
        msgspec.json.encode(Holder(SECRET))
    event: LogEvent = {"log_format": "{s}", "log_time": 0.0, "s": SECRET}
    assert TEXT not in eventAsJSON(event)


def test_no_attribute_but_its_own_holds_it() -> None:
    """It has no `__dict__` for a debugger or a logger to dump."""
    with pytest.raises(TypeError):
        vars(SECRET)
    with pytest.raises(AttributeError):
        SECRET.extra = 1  # type: ignore[attr-defined]


def test_a_traceback_does_not_show_it() -> None:
    """A failure in a function that got it tells of the function, not of the text."""

    def use(secret: Secret) -> None:
        raise ValueError(f"cannot use {secret}")

    try:
        use(SECRET)
    except ValueError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    text = "".join(shown.format())
    assert "secret = <secret>" in text
    assert TEXT not in text


def test_it_is_revealed_on_demand() -> None:
    """The one place that must send or compare it gets the text."""
    assert SECRET.reveal() == TEXT


def test_equal_texts_are_equal_secrets() -> None:
    """Secrets compare by their texts, with each other alone, and hash alike."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (b"<html>\r\n<body>", "<html> <body>"),
        ("成功".encode("gbk"), "成功"),
        ("a\u202eb\x00c", "a\ufffdb\ufffdc"),
        (b'{"you sent":"p@ss w\xc3\xb6rd"}', '{"you sent":"***"}'),
        (b"Basic " + b64encode("p@ss wörd".encode()), "Basic ***"),
        (b"?auth=p%40ss%20w%C3%B6rd&x", "?auth=***&x"),
        (b"x" * 5000, "x" * 79 + "…"),
        (b"", ""),
    ],
)
def test_what_a_peer_sent_is_shown(message: bytes | str, told: str) -> None:
    """On one line, bounded, without control characters, and without the secret in any form."""
    assert shown(message, Secret("p@ss wörd")) == told


def test_bytes_are_kept_without_the_secret() -> None:
    """Other bytes stay as they came."""
    assert without(b"\xff p@ss w\xc3\xb6rd \x00", Secret("p@ss wörd")) == b"\xff *** \x00"
