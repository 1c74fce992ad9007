"""A password as it may stand in a file: what it hashes to, so that it can be checked, not read.

`scrypt$<n>$<r>$<p>$<salt>$<hash>`, salt and hash in Base64 (RFC 7914).
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets

# RFC 7914 calls these interactive: 16 MiB and some 50 ms a check.
_N, _R, _P = 2**14, 8, 1
_SALT, _HASH = 16, 32

# What another program may have chosen, within bounds: a check is never dearer than this.
_MOST_MEMORY = 64 * 1024 * 1024
_MOST_P = 4

PREFIX = "scrypt$"
_FORM = re.compile(
    r"scrypt\$(?P<n>[0-9]{1,7})\$(?P<r>[0-9]{1,3})\$(?P<p>[0-9]{1,2})"
    r"\$(?P<salt>[A-Za-z0-9+/=]{12,88})\$(?P<hash>[A-Za-z0-9+/=]{24,88})"
)


def hash_password(text: str) -> str:
    """Return the text that `check_password` knows `text` by, another one each time.

    Raises ValueError for an empty password, which would protect nothing.
    """
    if not text:
        raise ValueError("an empty password protects nothing")
    salt = secrets.token_bytes(_SALT)
    hashed = _scrypt(text, salt, _N, _R, _P, _HASH)
    encoded = "$".join(base64.b64encode(part).decode() for part in (salt, hashed))
    return f"{PREFIX}{_N}${_R}${_P}${encoded}"


def is_hash(stored: str) -> bool:
    """Tell whether `stored` is a hash that can be checked, and not an open password."""
    return _parse(stored) is not None


def check_password(text: str, stored: str) -> bool:
    """Tell whether `text` is the password that `stored` was made of.

    It takes some 50 ms, so a server remembers what was right. Raises ValueError when `stored` is
    no hash; the text of the error shows nothing of it.
    """
    parsed = _parse(stored)
    if parsed is None:
        raise ValueError("not a scrypt hash")
    n, r, p, salt, hashed = parsed
    return hmac.compare_digest(_scrypt(text, salt, n, r, p, len(hashed)), hashed)


def _parse(stored: str) -> tuple[int, int, int, bytes, bytes] | None:
    found = _FORM.fullmatch(stored)
    if found is None:
        return None
    n, r, p = int(found["n"]), int(found["r"]), int(found["p"])
    if n < 2 or n & (n - 1) or not r or not 0 < p <= _MOST_P or 128 * n * r > _MOST_MEMORY:
        return None
    try:
        salt = base64.b64decode(found["salt"], validate=True)
        hashed = base64.b64decode(found["hash"], validate=True)
    except binascii.Error:
        return None
    return (n, r, p, salt, hashed) if len(hashed) >= 16 else None


def _scrypt(text: str, salt: bytes, n: int, r: int, p: int, length: int) -> bytes:
    # OpenSSL wants room for the blocks and some more.
    room = 2 * _MOST_MEMORY
    return hashlib.scrypt(text.encode(), salt=salt, n=n, r=r, p=p, maxmem=room, dklen=length)
