"""Lines of the NUT protocol: words and quotes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_gantry.wire.nut import MAX_WORDS, NutError, number, quoted, split


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"GET VAR ups1 ups.status", ["GET", "VAR", "ups1", "ups.status"]),
        (b"  LIST\tUPS \r", ["LIST", "UPS"]),
        (b'PASSWORD "a b \\" \\\\ c"', ["PASSWORD", 'a b " \\ c']),
        (b"PASSWORD a\\ b", ["PASSWORD", "a b"]),
        (b'SET VAR ups1 ups.id ""', ["SET", "VAR", "ups1", "ups.id", ""]),
        ("USERNAME 收费".encode(), ["USERNAME", "收费"]),
        (b"", []),
    ],
)
def test_a_line_is_words(line: bytes, words: list[str]) -> None:
    """Blanks separate words; quotes and backslashes hold a word together."""
    assert split(line) == words


@pytest.mark.parametrize("line", [b'PASSWORD "open', b"\\", b"a " * (MAX_WORDS + 3)])
def test_a_line_without_an_end_is_refused(line: bytes) -> None:
    """An open quote and too many words are INVALID-ARGUMENT."""
    with pytest.raises(NutError, match="INVALID-ARGUMENT"):
        split(line)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40))
def test_a_quoted_text_is_one_word(text: str) -> None:
    """What is quoted is read back as it was."""
    assert split(f"VAR {quoted(text)}".encode()) == ["VAR", text]


@given(st.binary(max_size=60))
def test_any_bytes_are_words_or_refused(line: bytes) -> None:
    """No bytes raise anything but NutError, and words keep their bytes."""
    try:
        words = split(line)
    except NutError:
        return
    for word in words:
        word.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("value", "text"),
    [(220.0, "220"), (219.98, "219.98"), (100000.0, "100000"), (-0.001, "0"), (7, "7")],
)
def test_numbers_are_decimal(value: float, text: str) -> None:
    """No exponent, no needless decimals."""
    assert number(value) == text


def test_a_value_cannot_end_its_line() -> None:
    """Line ends within a value become blanks."""
    assert quoted("a\nERR b") == '"a ERR b"'
