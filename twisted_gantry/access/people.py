"""People and programs that ask, by name, and what their roles allow."""

from dataclasses import dataclass
from enum import StrEnum


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
    """Who asks: the name is for the audit and for acknowledgements."""

    name: str
    role: Role


OPERATOR = Person("operator", Role.ADMIN)
"""Who has the single `password` or `token`, which give all rights."""
VIEWER = Person("viewer", Role.VIEWER)
"""Who has the `viewer_password` or `viewer_token`."""
LOCAL = Person("local", Role.ADMIN)
"""Everybody, while no secret is configured: the endpoint answers this computer alone."""
