"""People and programs that ask, by name, and what their roles allow."""

import re
from dataclasses import dataclass
from enum import StrEnum
from unicodedata import normalize

from twisted_gantry.wire.secret import Secret


class Role(StrEnum):
    """What a person may do; each role may do all that the ones before it may.

    A viewer reads. An operator also sends commands, acknowledges and retries. An admin also drops
    reports, makes backups and sees the users.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def allows(self, needed: "Role") -> bool:
        """Tell whether this role may do what needs `needed`."""
        roles = list(Role)
        return roles.index(self) >= roles.index(needed)


@dataclass(frozen=True)
class Person:
    """Who asks: the name is for the audit and for acknowledgements. At the centre, `roads` are
    those that the person sees and commands; None for all.
    """

    name: str
    role: Role
    roads: frozenset[str] | None = None


@dataclass(frozen=True)
class User:
    """A person with an account: the password goes with the name, the token alone."""

    person: Person
    password: Secret | None = None
    token: Secret | None = None


LONGEST_NAME = 40
_NAME = re.compile(rf"[\w.@-]{{1,{LONGEST_NAME}}}")


def same_name(name: str) -> str:
    """Return a name in the one form in which names are compared."""
    return normalize("NFC", name)


def wrong_name(name: str) -> str:
    """Return what is wrong with the name of an account, empty if nothing is."""
    if not _NAME.fullmatch(name):
        return f"a name has 1 to {LONGEST_NAME} letters, digits and . _ - @"
    if name in {each.name for each in (OPERATOR, VIEWER, LOCAL)}:
        return "stands for those without an account: local, operator and viewer are taken"
    return ""


OPERATOR = Person("operator", Role.ADMIN)
"""Who has the single `password` or `token`, which give all rights."""
VIEWER = Person("viewer", Role.VIEWER)
"""Who has the `viewer_password` or `viewer_token`."""
LOCAL = Person("local", Role.ADMIN)
"""Everybody, while no secret is configured: the endpoint answers this computer alone."""
