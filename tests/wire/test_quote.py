"""What an error shows of what came."""

import pytest

from twisted_gantry.wire.quote import MOST_QUOTED, quote


def test_a_quotation_is_short_and_printable() -> None:
    """Control characters and bytes of no letter do not reach a log, nor do a thousand letters."""
    assert quote(b"a\r\n\tb\x00\xff \x1b[31m") == "a b\ufffd\ufffd \ufffd[31m"
    assert quote("x" * 1000) == "x" * (MOST_QUOTED - 1) + "…"
    assert quote("x" * MOST_QUOTED) == "x" * MOST_QUOTED
    assert quote(b"") == ""


@pytest.mark.parametrize(
    "text",
    [
        '{"pass":"hush"}',
        '{ "new_pass" : "hush", "a":1}',
        "{pass:hush,a:1}",
        "{'apiKey':'hush'}",
        '{"tKey":"hu\\"sh"}',
        '{"admin_pwd":"hush',
        '{"PASSWORD":12345}',
        "the word is s3cret",
    ],
)
def test_a_quotation_shows_no_secret(text: str) -> None:
    """The values of secret members are masked, and the texts that are known to be secret."""
    shown = quote(text, ["s3cret", None, ""])
    assert "***" in shown
    assert not any(word in shown for word in ("hu", "sh", "12345", "s3cret"))


def test_a_quotation_cut_within_a_letter_keeps_its_letters() -> None:
    """UTF-8 that is cut, or has one odd byte, is not taken for GB18030; GB18030 is."""
    assert quote(b"a" + "行".encode() * 9999, most=10) == "a行行行行行行行行…"
    assert quote("状态同步成功".encode()[:-1]) == "状态同步成"
    assert quote("控制".encode() + b"\xff" + "成功".encode()) == "控制\ufffd成功"
    assert quote("控制成功".encode("gb18030")) == "控制成功"
