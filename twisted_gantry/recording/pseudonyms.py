"""Pseudonyms for identifiers: of the same shape, and the same name for the same text."""

import hmac
import re
from collections.abc import Iterator

# Pseudonyms that are remembered and kept distinct; further ones may collide.
MOST_REMEMBERED = 10_000
_TRIES = 100

_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]+[:-])+[0-9A-Fa-f]+|[0-9A-Fa-f]*(?::[0-9A-Fa-f]*){2,}")
_LOWER, _UPPER = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Letters of other scripts become one of these, which take 3 bytes in UTF-8 as most of them do.
_FIRST_IDEOGRAPH, _IDEOGRAPHS = 0x4E00, 0x5000


class Pseudonyms:
    """Names derived from `key`, without which no name can be traced to its text."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._given: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, text: str) -> str:
        """Return the name for `text`: of equal length, digits for digits, letters for letters.

        An IPv4 address gives an IPv4 address; a MAC or IPv6 address keeps hexadecimal digits.
        Other characters stay.
        """
        known = self._given.get(text)
        if known is not None:
            return known
        name = text
        for attempt in range(_TRIES):
            name = self._shaped(text, attempt)
            if name != text and name not in self._taken and name not in self._given:
                break
        if len(self._given) < MOST_REMEMBERED:
            self._given[text] = name
            self._taken.add(name)
        return name

    def _shaped(self, text: str, attempt: int) -> str:
        numbers = self._numbers(text, attempt)
        if _IPV4.fullmatch(text) is not None:
            return ".".join(_octet(part, next(numbers)) for part in text.split("."))
        hexadecimal = _HEX.fullmatch(text) is not None
        first = True
        shaped = []
        for character in text:
            shaped.append(_character(character, next(numbers), hexadecimal, first))
            first = first and not character.isalnum()
        return "".join(shaped)

    def _numbers(self, text: str, attempt: int) -> Iterator[int]:
        block = 0
        while True:
            message = f"{attempt} {block} {text}".encode("utf-8", "surrogatepass")
            digest = hmac.digest(self._key, message, "sha256")
            for at in range(0, len(digest), 2):
                yield int.from_bytes(digest[at : at + 2])
            block += 1


def _octet(digits: str, number: int) -> str:
    low, high = {1: (1, 9), 2: (10, 99)}.get(len(digits), (100, 255))
    return str(low + number % (high - low + 1))


def _character(character: str, number: int, hexadecimal: bool, first: bool) -> str:
    if character in "0123456789":
        # The name of a number must not begin with a zero.
        plain = first and character != "0" and not hexadecimal
        return str(1 + number % 9 if plain else number % 10)
    if hexadecimal and character in "abcdefABCDEF":
        return ("abcdef" if character.islower() else "ABCDEF")[number % 6]
    if character in _LOWER:
        return _LOWER[number % 26]
    if character in _UPPER:
        return _UPPER[number % 26]
    if character.isalnum():
        return chr(_FIRST_IDEOGRAPH + number % _IDEOGRAPHS)
    return character
