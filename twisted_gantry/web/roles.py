"""The role that a request needs: stated by its operation in `wire/local_operations.py`."""

from collections.abc import Iterable, Mapping

from twisted_gantry.access.people import Role
from twisted_gantry.wire.local_operations import OPERATIONS, Operation

READING = frozenset({b"GET", b"HEAD", b"OPTIONS"})
"""Methods that change nothing: viewers may use them, and they are not checked for forgery."""


def _table(operations: Iterable[Operation]) -> Mapping[tuple[bytes, bytes], Role]:
    return {
        (each.method.upper().encode(), each.path.encode()): Role(each.role) for each in operations
    }


_NEEDED = _table(OPERATIONS)


def needed_role(method: bytes, path: bytes) -> Role:
    """Return the role for a request; `path` is decoded. What is no operation is read by viewers,
    and changed by admins alone.
    """
    wanted = b"GET" if method == b"HEAD" else method
    default = Role.VIEWER if method in READING else Role.ADMIN
    return _NEEDED.get((wanted, path), default)
