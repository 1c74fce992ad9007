"""A password as a hash: checked, never read back."""

import base64
import hashlib

import pytest

from twisted_gantry.site.passwords import check_password, hash_password, is_hash

PASSWORD = "门架 hunter2"

# RFC 7914, section 12, the third vector: password "pleaseletmein", salt "SodiumChloride".
VECTOR = (
    "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
)


def test_only_the_password_passes() -> None:
    """The password passes, and no other, however alike."""
    stored = hash_password(PASSWORD)
    assert check_password(PASSWORD, stored)
    for other in ("", PASSWORD + " ", PASSWORD.upper(), stored):
        assert not check_password(other, stored)


def test_form() -> None:
    """The hash says how it was made, shows nothing of the password, and differs each time."""
    first, second = hash_password("abc"), hash_password("abc")
    assert first != second
    name, n, r, p, salt, hashed = first.split("$")
    assert (name, n, r, p) == ("scrypt", "16384", "8", "1")
    salt_bytes = base64.b64decode(salt)
    assert len(salt_bytes) == 16
    expected = hashlib.scrypt(b"abc", salt=salt_bytes, n=16384, r=8, p=1, dklen=32)
    assert base64.b64decode(hashed) == expected


def test_known_vector() -> None:
    """A hash that was made elsewhere, by the RFC's own example, is checked by its parameters."""
    salt = base64.b64encode(b"SodiumChloride").decode()
    stored = f"scrypt$16384$8$1${salt}${base64.b64encode(bytes.fromhex(VECTOR)).decode()}"
    assert check_password("pleaseletmein", stored)
    assert not check_password("pleaseletmeout", stored)


def test_an_empty_password_is_refused() -> None:
    """Nothing would be protected by it."""
    with pytest.raises(ValueError, match="empty"):
        hash_password("")


SALT, HASH = "A" * 22 + "==", "B" * 43 + "="


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "hunter2",
        "scrypt$",
        f"scrypt$16384$8$1${SALT}",
        f"bcrypt$16384$8$1${SALT}${HASH}",
        f"scrypt$16383$8$1${SALT}${HASH}",
        f"scrypt$0$8$1${SALT}${HASH}",
        f"scrypt$16384$0$1${SALT}${HASH}",
        f"scrypt$16384$8$0${SALT}${HASH}",
        f"scrypt$1048576$8$1${SALT}${HASH}",
        f"scrypt$16384$8$99${SALT}${HASH}",
        f"scrypt$16384$8$1$A{SALT}${HASH}",
        f"scrypt$16384$8$1${SALT}${'A' * 24}"[:-13] + "==",
        f"scrypt$16384$8$1${SALT}${HASH}\n",
    ],
)
def test_what_is_no_hash(stored: str) -> None:
    """Neither an open password nor a hash that is broken or far too dear to check is taken."""
    assert not is_hash(stored)
    with pytest.raises(ValueError, match=r"^not a scrypt hash$"):
        check_password("hunter2", stored)


def test_a_hash_is_told_from_an_open_password() -> None:
    """What `hash_password` returns is a hash."""
    assert is_hash(hash_password("x"))
