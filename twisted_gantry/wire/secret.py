"""A text that must not appear in any log, metric, error or `repr`; what peers say without it."""

from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote as url_quoted

from twisted_gantry.wire.quote import MASK, quote

SHOWN = 80
"""Characters of a message that an error shows."""
SHORTEST = 6
"""Characters of the shortest secret that is masked in ordinary text."""


class Secret:
    """Holds a password, an authentication code or a key."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


def forms_of(secret: str) -> Iterator[str]:
    """Yield the texts in which a peer may say a secret back, the whole ones first. Parts of Base64
    stand for a secret with other text around it; those of a short secret would mask anything.
    """
    raw = secret.encode("utf-8", "replace")
    encoded = b64encode(raw).decode()
    yield from filter(None, (secret, url_quoted(secret, safe="", errors="replace")))
    yield from filter(None, (encoded, encoded.rstrip("=")))
    if len(secret) < SHORTEST:
        return
    for before in range(3):
        # The letters of Base64 that depend on the secret alone.
        within = b64encode(bytes(before) + raw).decode().rstrip("=")
        yield within[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]


def shown(message: bytes | str, *secrets: Secret, most: int = SHOWN) -> str:
    """Return what a peer sent, for an error or a log: on one line, shortened, without secrets."""
    return quote(message, _forms(secrets), most)


def without(message: bytes, *secrets: Secret) -> bytes:
    """Return the bytes of a peer without the secrets, which the peer may quote."""
    for form in _forms(secrets):
        message = message.replace(form.encode("utf-8", "surrogatepass"), MASK.encode())
    return message


def _forms(secrets: tuple[Secret, ...]) -> list[str]:
    return [form for secret in secrets for form in forms_of(secret.reveal())]
