"""Passwords as hashes: what is made fits, what is no hash is refused without showing it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_gantry.access.passwords import (
    HASH_BYTES,
    SALT_BYTES,
    Hashed,
    N,
    P,
    R,
    hash_password,
    is_hash,
    read_hash,
)

SALT = bytes(range(SALT_BYTES))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_made_and_read() -> None:
    """The hash of a password fits it, and nothing else."""
    text = hash_password("pässword", SALT)
    assert text.startswith(f"scrypt${N}${R}${P}$")
    assert is_hash(text)
    hashed = read_hash(text)
    assert isinstance(hashed, Hashed)
    assert (hashed.salt, len(hashed.hash)) == (SALT, HASH_BYTES)
    assert hashed.fits("pässword".encode())
    assert not hashed.fits(b"password")
    assert not hashed.fits(b"")
    assert hash_password("pässword", bytes(16)) != text


def test_the_vector_of_the_standard() -> None:
    """It is scrypt as others compute it: RFC 7914, section 12, the third vector."""
    digest = bytes.fromhex(
        "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a"
        "9af9e61e85dc0d651e40dfcf017b45575887"
    )
    hashed = read_hash(f"scrypt$16384$8$1${b64(b'SodiumChloride')}${b64(digest)}")
    assert hashed.fits(b"pleaseletmein")
    assert not hashed.fits(b"pleaseletmeout")


def test_empty() -> None:
    """There is no hash of nothing."""
    with pytest.raises(ValueError, match="empty"):
        hash_password("", SALT)


GOOD = ["scrypt", "16384", "8", "1", b64(SALT), b64(bytes(32))]


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (0, "SCRYPT"),
        (0, "bcrypt"),
        (1, ""),
        (1, "-2"),
        (1, "0"),
        (1, "1"),
        (1, "1000"),
        (1, "1048576"),
        (1, "16384.0"),
        (1, "9" * 500),
        (1, "\u0661\u0662"),
        (2, "0"),
        (2, "64"),
        (2, "x"),
        (3, "0"),
        (3, "65"),
        (4, ""),
        (4, "%%%%"),
        (4, b64(b"short")),
        (4, b64(bytes(65))),
        (4, "\u00fc"),
        (5, ""),
        (5, b64(bytes(15))),
        (5, b64(bytes(65))),
        (5, b64(bytes(32)) + "$"),
    ],
)
def test_broken(place: int, text: str) -> None:
    """What is no hash, or asks for too much, is refused with a reason that does not show it."""
    read_hash("$".join(GOOD))
    parts = [text if i == place else part for i, part in enumerate(GOOD)]
    with pytest.raises(ValueError) as raised:
        read_hash("$".join(parts))
    assert b64(SALT) not in str(raised.value)


@given(st.text(max_size=80))
def test_anything(text: str) -> None:
    """No text raises anything else, and an ordinary password is no hash."""
    for each in (text, f"scrypt${text}"):
        try:
            read_hash(each)
        except ValueError:
            continue
        assert is_hash(each)


def test_not_shown() -> None:
    """A hash is not shown either: it can be guessed at."""
    hashed = read_hash("$".join(GOOD))
    assert repr(hashed) == "<hash>"
