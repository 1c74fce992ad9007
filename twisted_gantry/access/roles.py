"""The role that a request needs: stated by its operation, for each program in one table."""

import re
from collections.abc import Callable, Iterable

from twisted_gantry.access.people import Role
from twisted_gantry.wire.operations import Operation

READING = frozenset({b"GET", b"HEAD", b"OPTIONS"})
"""Methods that change nothing: viewers may use them, and they are not checked for forgery."""

NeededRole = Callable[[bytes, bytes], Role]
"""Returns the role for a request, from its method and its decoded path."""


def by_method(method: bytes, path: bytes = b"") -> Role:
    """Return the role for what is no operation: read by viewers, changed by admins alone."""
    return Role.VIEWER if method in READING else Role.ADMIN


def roles_of(operations: Iterable[Operation]) -> NeededRole:
    """Return the roles that operations state. A part of a path such as `{id}` is any text."""
    exact: dict[tuple[bytes, bytes], Role] = {}
    patterns: list[tuple[bytes, re.Pattern[bytes], Role]] = []
    for each in operations:
        method, role = each.method.upper().encode(), Role(each.role)
        if "{" in each.path:
            parts = re.split(r"\{\w+\}", each.path)
            pattern = b"[^/]+".join(re.escape(part.encode()) for part in parts)
            patterns.append((method, re.compile(pattern), role))
        else:
            exact[method, each.path.encode()] = role

    def needed_role(method: bytes, path: bytes) -> Role:
        wanted = b"GET" if method == b"HEAD" else method
        found = exact.get((wanted, path))
        if found is not None:
            return found
        for known, pattern, role in patterns:
            if known == wanted and pattern.fullmatch(path):
                return role
        return by_method(method)

    return needed_role
