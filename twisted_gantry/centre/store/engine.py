"""What both engines are to the store: they make connections, and they sort errors."""

from enum import Enum
from typing import Protocol, TypeVar

from twisted_gantry.centre.interfaces import Job

T = TypeVar("T")


class Unusable(Exception):
    """The database cannot be used; the text tells why and what to do, and has no secret."""


class Fault(Enum):
    """What an error says of a transaction."""

    LOST = "lost"  # of the connection; another one may do
    AGAIN = "again"  # a lock, a deadlock or a deadline: the same transaction may succeed
    FULL = "full"  # no room on the disk
    REJECTED = "rejected"  # the database does not take a value
    MISTAKE = "mistake"  # of the program


class Connection(Protocol):
    """A connection, used by one thread at a time."""

    def transaction(self, job: Job[T]) -> T:
        """Run `job` in a transaction, and commit. Raises the errors of `job` and of the engine, and
        NotStored if the standby did not confirm the commit.
        """

    def close(self) -> None: ...


class Engine(Protocol):
    """A database, opened or not."""

    name: str  # "sqlite" or "postgresql"

    def connect(self, *, read_only: bool = False) -> Connection:
        """Open a connection. Raises Unusable, and the errors of the engine."""

    def fault(self, error: Exception) -> Fault: ...

    def unreachable(self, error: Exception) -> bool:
        """Tell whether the database may answer later with the same settings."""

    def close(self) -> None:
        """Release what no connection holds."""


def first_line(error: Exception) -> str:
    """Return the first line of an error: those of psycopg go on with hints and addresses."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
