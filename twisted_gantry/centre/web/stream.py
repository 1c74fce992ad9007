"""`GET /api/v1/stream`: what changes at the centre, as server-sent events.

The events `overview`, `gantry` and `incident` carry types of the API; `gone` names a gantry or an
incident that is over. The database is read once a second while there are readers. What comes with
the events, and in which order, is that of `net/http/event_stream.py`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from msgspec.structs import replace as with_members
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.centre.interfaces import IReportStore, Session
from twisted_gantry.centre.store import alarm_views
from twisted_gantry.centre.store import views as stored
from twisted_gantry.centre.store.alarm_views import Struck
from twisted_gantry.centre.store.pages import Key, Page
from twisted_gantry.centre.store.views import Standing
from twisted_gantry.centre.web.call import Call
from twisted_gantry.centre.web.overview import Overviews
from twisted_gantry.centre.web.scope import Scope
from twisted_gantry.centre.web.views import Views
from twisted_gantry.net.http.event_reader import Ring
from twisted_gantry.net.http.event_stream import Event, EventStream
from twisted_gantry.net.http.json import HttpError
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.wire import centre_api as api

_T = TypeVar("_T")
_Each = TypeVar("_Each", Standing, Struck)

MOST_SCOPES = 64
"""Streams of different roads; each reads the database for itself."""
PAGE = 5000  # rows of one query
RING_EVENTS, RING_BYTES = 20_000, 8 << 20
"""Events that are kept: when a province loses its mains, every gantry changes within seconds."""


@dataclass(frozen=True)
class _Seen:
    """All that readers are told of, at one time; what is unchanged since before is the same."""

    overview: api.Overview
    gantries: Mapping[str, Standing] = field(default_factory=dict)
    incidents: Mapping[str, Struck] = field(default_factory=dict)


_NOTHING = _Seen(api.Overview())


class CentreStream(EventStream):
    """The stream of one scope."""

    within = 10.0

    def __init__(
        self,
        store: IReportStore,
        views: Views,
        overviews: Overviews,
        scope: Scope,
        clock: IReactorTime,
        epoch: str,
    ) -> None:
        super().__init__(f"stream-{epoch}", clock, epoch, Ring(RING_EVENTS, RING_BYTES))
        self._store, self._views, self._overviews = store, views, overviews
        self._scope, self._seen = scope, _NOTHING

    def sleep(self) -> None:
        self._seen = _NOTHING

    def look(self) -> Deferred[_Seen]:
        return self._store.read(self._read)

    def _read(self, session: Session) -> _Seen:
        roads = self._scope.roads
        gantries = (
            standing
            for pending in (False, True)
            for standing in _all(
                partial(stored.gantry_views, session, pending=pending, limit=PAGE, roads=roads)
            )
        )
        incidents = _all(
            partial(alarm_views.incident_views, session, active=True, limit=PAGE, roads=roads)
        )
        return _Seen(
            self._overviews.of(session, self._scope),
            {each.gantry.id: each for each in gantries},
            {str(each.incident.id): each for each in incidents},
        )

    def looked(self, found: _Seen) -> None:
        before, self._seen = self._seen, found
        if before is _NOTHING:
            return  # readers begin with a snapshot
        if _timeless(before.overview) != _timeless(found.overview):
            self.tell("overview", found.overview)
        for name, standing in found.gantries.items():
            if _coarse(standing) != _coarse(before.gantries.get(name)):
                self.tell("gantry", self._views.gantry(standing))
        for name, struck in found.incidents.items():
            if _coarse(struck) != _coarse(before.incidents.get(name)):
                self.tell("incident", self._views.incident(struck))
        for kind, now, then in (
            ("gantry", found.gantries, before.gantries),
            ("incident", found.incidents, before.incidents),
        ):
            for name in then.keys() - now.keys():
                self.tell("gone", api.Gone(kind, name))

    def whole(self) -> Iterator[Event]:
        yield "overview", self._seen.overview
        for standing in self._seen.gantries.values():
            yield "gantry", self._views.gantry(standing)
        for struck in self._seen.incidents.values():
            yield "incident", self._views.incident(struck)


class Streams(ServiceGroup):
    """The streams, one a scope. `token` returns hexadecimal digits that never come again."""

    def __init__(
        self,
        store: IReportStore,
        views: Views,
        overviews: Overviews,
        clock: IReactorTime,
        token: Callable[[], str],
    ) -> None:
        super().__init__()
        self._parts = (store, views, overviews)
        self._clock, self._token = clock, token
        self._by_scope: dict[Scope, CentreStream] = {}

    @property
    def readers(self) -> int:
        return sum(each.readers for each in self._by_scope.values())

    @property
    def counts(self) -> Counter[str]:
        """The counts of all streams, as `EventStream` has them."""
        return sum((each.counts for each in self._by_scope.values()), Counter())

    def read(self, call: Call) -> bytes | Deferred[bytes]:
        """Answer with the stream of what the person sees. Raises HttpError (503)."""
        stream = self._by_scope.get(call.scope)
        if stream is None:
            if len(self._by_scope) >= MOST_SCOPES:
                raise HttpError(503, "too-many-readers", "too many streams of different roads")
            epoch = self._token()[:16]
            stream = CentreStream(*self._parts, call.scope, self._clock, epoch)
            self._by_scope[call.scope] = stream
            self.add(stream)
        return stream.read(call.request)


def _all(page: Callable[..., Page[_T]]) -> Iterator[_T]:
    after: Key | None = None
    while True:
        found = page(after=after)
        yield from found.rows
        after = found.after
        if after is None:
            return


def _timeless(overview: api.Overview) -> api.Overview:
    return with_members(overview, as_of=None)


def _coarse(each: _Each | None) -> _Each | None:
    """Return what makes an event: a battery that counts down makes one a minute."""
    if each is None or each.battery_minutes is None:
        return each
    return replace(each, battery_minutes=float(int(each.battery_minutes)))
