"""Hashes for the configuration: `scrypt$n$r$p$salt$hash` of passwords, `sha256$hash` of tokens.

A token that we make has 256 random bits: nothing is won by a slow hash of it, and an API with many
tokens would have to try the slow hash of each. A password needs scrypt; salt and hash are base64.
`werkzeug.security` cannot read these (its salt is text), has no bound on the memory that a hash
asks for, and its default is checked in less than half the time.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass

PREFIX, TOKEN_PREFIX = "scrypt$", "sha256$"
# 16 MiB and 0.2 s of one core: a lower p makes guesses cheaper, a larger n takes more memory.
N, R, P = 2**14, 8, 5
SALT_BYTES, HASH_BYTES = 16, 32
MAX_MEMORY = 64 * 2**20  # bytes that a configured hash may need
MAX_P = 64


@dataclass(frozen=True)
class Hashed:
    """A hash that passwords are checked against."""

    n: int
    r: int
    p: int
    salt: bytes
    hash: bytes

    def __repr__(self) -> str:
        # A hash can be guessed at, too.
        return "<hash>"

    def fits(self, password: bytes) -> bool:
        """Tell whether this is the password; takes 0.2 s, so not for the reactor's thread."""
        return hmac.compare_digest(self._of(password), self.hash)

    def _of(self, password: bytes) -> bytes:
        memory = 128 * self.r * (self.n + self.p + 2) + 2**20
        return hashlib.scrypt(
            password,
            salt=self.salt,
            n=self.n,
            r=self.r,
            p=self.p,
            dklen=len(self.hash),
            maxmem=memory,
        )


DUMMY = Hashed(N, R, P, bytes(SALT_BYTES), bytes(HASH_BYTES))
"""Fits no password, and takes as long as a hash of ours to say so."""


@dataclass(frozen=True)
class TokenHash:
    """The SHA-256 of a token of many random bits."""

    hash: bytes

    def __repr__(self) -> str:
        return "<hash>"

    def fits(self, token: bytes) -> bool:
        return hmac.compare_digest(hashlib.sha256(token).digest(), self.hash)


def is_hash(text: str) -> bool:
    """Tell whether a text is meant as a hash rather than a password."""
    return text.startswith((PREFIX, TOKEN_PREFIX))


def read_hash(text: str) -> Hashed | TokenHash:
    """Parse a hash. Raises ValueError, whose text does not quote it."""
    if text.startswith(TOKEN_PREFIX):
        return _read_token_hash(text.removeprefix(TOKEN_PREFIX))
    parts = text.split("$")
    if len(parts) != 6 or not is_hash(text):
        raise ValueError("a hash is scrypt$n$r$p$salt$hash")
    numbers = parts[1:4]
    if not all(each.isascii() and each.isdecimal() and len(each) <= 7 for each in numbers):
        raise ValueError("n, r and p of a scrypt hash are whole numbers")
    n, r, p = map(int, numbers)
    if n < 2 or n & (n - 1) or r < 1 or not 1 <= p <= MAX_P or 128 * n * r > MAX_MEMORY:
        raise ValueError(
            f"of a scrypt hash n is a power of 2, p is 1 to {MAX_P}, 128 n r is at most 64 MiB"
        )
    try:
        salt, digest = (base64.b64decode(each, validate=True) for each in parts[4:])
    except ValueError:
        raise ValueError("salt and hash of a scrypt hash are base64") from None
    if not (8 <= len(salt) <= 64 and 16 <= len(digest) <= 64):
        raise ValueError("a scrypt hash has 8 to 64 bytes of salt and 16 to 64 of hash")
    return Hashed(n, r, p, salt, digest)


def _read_token_hash(digits: str) -> TokenHash:
    try:
        digest = bytes.fromhex(digits)
    except ValueError:
        digest = b""
    if len(digest) != HASH_BYTES:
        raise ValueError("the hash of a token is sha256$ and 64 hexadecimal digits")
    return TokenHash(digest)


def hash_token(token: str) -> str:
    """Return the hash of a token that was made of random bits, not by a person."""
    return f"{TOKEN_PREFIX}{hashlib.sha256(token.encode()).hexdigest()}"


def hash_password(password: str, salt: bytes) -> str:
    """Return the hash of a password; `salt` is `SALT_BYTES` random bytes. Raises ValueError for an
    empty password.
    """
    if not password:
        raise ValueError("an empty password protects nothing")
    made = Hashed(N, R, P, salt, bytes(HASH_BYTES))._of(password.encode())
    encoded = (base64.b64encode(each).decode() for each in (salt, made))
    return f"{PREFIX}{N}${R}${P}$" + "$".join(encoded)
