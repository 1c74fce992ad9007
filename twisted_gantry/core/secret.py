"""A text that must not appear in any log, metric, error or `repr`; what peers say without it."""

from base64 import b64encode
from urllib.parse import quote

MASK = "***"
SHOWN = 80
"""Characters of a message that an error shows."""
_READ = 4096  # bytes, or characters, of a message that are looked at


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


def shown(message: bytes | str, *secrets: Secret, most: int = SHOWN) -> str:
    """Return what a peer sent, for an error or a log: on one line, shortened, without secrets."""
    text = _decoded(message[:_READ]) if isinstance(message, bytes) else message[:_READ]
    text = "".join(c if c.isprintable() else " " for c in text)
    for form in _forms(secrets):
        text = text.replace(form, MASK)
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def without(message: bytes, *secrets: Secret) -> bytes:
    """Return the bytes of a peer without the secrets, which the peer may quote."""
    for form in _forms(secrets):
        message = message.replace(form.encode("utf-8", "surrogatepass"), MASK.encode())
    return message


def _forms(secrets: tuple[Secret, ...]) -> list[str]:
    forms = []
    for secret in secrets:
        plain = secret.reveal()
        encoded = b64encode(plain.encode("utf-8", "replace")).decode()
        forms += [plain, quote(plain, safe="", errors="replace"), encoded, encoded.rstrip("=")]
    return [each for each in forms if each]


def _decoded(message: bytes) -> str:
    text = message.decode("utf-8", "replace")
    return message.decode("gb18030", "replace") if "\ufffd" in text else text
