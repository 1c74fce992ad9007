"""A request to the API with who asks, and what that person sees."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from twisted.web.server import Request

from twisted_gantry.access.people import Person
from twisted_gantry.centre.web.cursors import Cursors, Key
from twisted_gantry.centre.web.scope import Scope
from twisted_gantry.net.http.arguments import (
    LATEST,
    flag_of,
    limit_of,
    read_body,
    read_list,
    time_of,
)
from twisted_gantry.net.http.json import HttpError, argument
from twisted_gantry.wire.local_api import DEFAULT_LIMIT, MAX_LIMIT
from twisted_gantry.wire.operations import Operation

_B = TypeVar("_B", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `parts` are the variable parts of its path."""

    request: Request
    operation: Operation
    person: Person
    scope: Scope
    parts: Mapping[str, str]
    cursors: Cursors

    @property
    def who(self) -> str:
        return self.person.name

    def body(self, kind: type[_B]) -> _B:
        """Return the body. Raises HttpError (400)."""
        return read_body(self.request, kind)

    def long_list(self, kind: type[_B], nodes: int) -> _B:
        """Return a body whose list is not decoded. Raises HttpError (400, 413)."""
        return read_list(self.request, kind, nodes)

    def text(self, name: str) -> str:
        """Return a query argument, empty if it is missing. Raises HttpError (400)."""
        value = argument(self.request, name)
        if "\0" in value or len(value) > 500:
            raise HttpError(400, "bad-argument", f"{name} is no text of at most 500 characters")
        return value

    def choice(self, name: str, *choices: str, default: str = "") -> str:
        """Return a query argument that is one of `choices`. Raises HttpError (400)."""
        value = self.text(name) or default
        if value and value not in choices:
            raise HttpError(400, f"bad-{name}", f"{name} is one of {', '.join(choices)}")
        return value

    def flag(self, name: str) -> bool:
        return flag_of(self.request, name)

    def limit(self, default: int = DEFAULT_LIMIT) -> int:
        return limit_of(self.request, default, MAX_LIMIT)

    def moment(self, name: str) -> float | None:
        """Return a query argument that is a time, in Unix seconds. Raises HttpError (400)."""
        text = self.text(name)
        if not text:
            return None
        moment = time_of(text)
        if moment is None or not 0 <= moment <= LATEST:
            why = f"{name} is a time like 2026-10-12T08:00:00+08:00, or Unix seconds"
            raise HttpError(400, "bad-time", why)
        return moment

    def times(self) -> tuple[float | None, float | None]:
        """Return `since` and `until`. Raises HttpError (400)."""
        since, until = self.moment("since"), self.moment("until")
        if since is not None and until is not None and since >= until:
            raise HttpError(400, "bad-time", "since is before until")
        return since, until

    def after(self, order: str = "") -> Key | None:
        """Return where the page begins; a cursor holds for one `order`. Raises HttpError (400)."""
        return self.cursors.key(self._list(order), argument(self.request, "after"))

    def cursor(self, key: Key | None, order: str = "") -> str | None:
        """Return the cursor of the next page."""
        return self.cursors.text(self._list(order), key)

    def _list(self, order: str) -> str:
        return f"{self.operation.path} {order}"
