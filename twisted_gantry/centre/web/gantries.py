"""The gantries: how they are, their entries in the registry, and their reports."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import UNSET

from twisted_gantry.centre.interfaces import IReportStore, Session
from twisted_gantry.centre.model import Gantry, GantryState
from twisted_gantry.centre.store import audit, registry
from twisted_gantry.centre.store import views as stored
from twisted_gantry.centre.store.pages import Page
from twisted_gantry.centre.store.registry import NotRegistered
from twisted_gantry.centre.store.report_pages import StoredReport, reports_of
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.centre.store.views import Standing
from twisted_gantry.centre.web.call import Call
from twisted_gantry.centre.web.gantry_entry import Wrong, wrong_members
from twisted_gantry.centre.web.scope import Scope
from twisted_gantry.centre.web.views import Views
from twisted_gantry.net.http.json import HttpError, finite
from twisted_gantry.wire import centre_api as api
from twisted_gantry.wire.secret import Secret

PENDING = "pending"
"""A value of `state` beside those of gantries: those that wait for a person."""
PAGE_BYTES = 4 * 1024 * 1024
"""Bytes of reports after which a page ends: they are checked and written at once."""
_SECRETS = ("auth", "api_key")
_GIVEN = tuple(name for name in registry.NAMES if name not in ("id", "pending", *_SECRETS))


class Gantries:
    """Answers about gantries, and changes their entries."""

    def __init__(self, store: IReportStore, sealing: Sealing, views: Views) -> None:
        self._store, self._sealing, self._views = store, sealing, views

    async def listed(self, call: Call) -> api.GantryList:
        state = call.choice("state", *(each.value for each in GantryState), PENDING)
        sort = call.choice("sort", *api.SORTS, default="id")
        road, section, q = call.text("road"), call.text("section"), call.text("q")
        limit, after, mains_off = call.limit(), call.after(sort), call.flag("mainsOff")

        def job(session: Session) -> Page[Standing]:
            return stored.gantry_views(
                session,
                **of_state(state),
                road=road or None,
                section=section or None,
                q=q,
                sort=sort,
                mains_off=mains_off,
                after=after,
                limit=limit,
                roads=call.scope.roads,
            )

        page = await self._store.read(job)
        gantries = [self._views.gantry(each) for each in page.rows]
        return api.GantryList(gantries, call.cursor(page.after, sort), page.total)

    async def one(self, call: Call) -> api.GantryView:
        return self._views.gantry(
            await self._store.read(lambda session: _standing(session, call.scope, call.parts["id"]))
        )

    async def put(self, call: Call) -> api.GantryView:
        """Raises HttpError: 400 for a bad entry, 403 for another road, 409 for an eqSN that another
        gantry has.
        """
        body, gantry_id = call.body(api.GantryBody), call.parts["id"]
        if body.id is not UNSET and registry.same(str(body.id)) != registry.same(gantry_id):
            raise HttpError(400, "other-id", "id is that of the path, or left out")

        def job(session: Session) -> Standing:
            known = registry.gantry(session, gantry_id)
            if known is not None:
                call.scope.gantry(session, gantry_id)
            entry = entry_of(gantry_id, body, known)
            call.scope.check_road(entry.road)
            for wrong in wrong_members(entry):
                raise _bad_entry(wrong)
            try:
                registry.put(session, [entry], self._sealing)
            except NotRegistered as error:
                if "eqSN" not in str(error):
                    raise HttpError(400, "bad-entry", str(error)) from None
                # Which one has it may be of a road that the person does not see.
                raise HttpError(409, "taken", "another gantry has this eqSN") from None
            changed = _changed(entry, known)
            audit.note(
                *(session, call.who, "putGantry", entry.id), road=entry.road, details=changed
            )
            return _standing(session, call.scope, entry.id)

        return self._views.gantry(await self._store.write(job))

    async def delete(self, call: Call) -> api.GantryView:
        def job(session: Session) -> Standing:
            standing = _standing(session, call.scope, call.parts["id"])
            gone = standing.gantry
            registry.remove(session, gone.id)
            audit.note(session, call.who, "deleteGantry", gone.id, road=gone.road)
            return standing

        return self._views.gantry(await self._store.write(job))

    async def approve(self, call: Call) -> api.Approved:
        """Let gantries in. Raises HttpError (404) if one of them is unknown; none is let in then.
        One that waits for nobody stays as it is, and is not counted.
        """
        body = call.body(api.ApproveBody)

        def job(session: Session) -> int:
            call.scope.check_whole()
            found = [call.scope.gantry(session, each) for each in dict.fromkeys(body.gantries)]
            waiting = [replace(each, pending=False) for each in found if each.pending]
            if waiting:
                registry.put(session, waiting, self._sealing)
            for each in waiting:
                audit.note(session, call.who, "approveGantries", each.id)
            return len(waiting)

        return api.Approved(await self._store.write(job))

    async def reports(self, call: Call) -> api.ReportsOfGantry:
        method, (since, until) = call.text("method"), call.times()
        limit, after = call.limit(), call.after()

        def job(session: Session) -> list[StoredReport]:
            gantry = call.scope.gantry(session, call.parts["id"])
            return reports_of(
                session,
                gantry.id,
                method=method,
                since=since,
                until=until,
                before=None if after is None else (after[0], after[1]),
                limit=limit + 1,
            )

        found = await self._store.read(job)
        page = list(_within(found[:limit], PAGE_BYTES))
        more = page[-1].key if len(found) > len(page) else None
        return api.ReportsOfGantry([self.report(each) for each in page], call.cursor(more))

    def report(self, report: StoredReport) -> api.ReportOfGantry:
        time = self._views.time
        return api.ReportOfGantry(
            report.method,
            time(report.filed),
            time(report.received_at),
            report.late,
            _content(report.body),
        )


def of_state(state: str) -> dict[str, Any]:
    """Return the arguments of `gantry_views` for a value of `state`."""
    pending = state == PENDING
    return {"pending": pending, "state": GantryState(state) if state and not pending else None}


def entry_of(gantry_id: str, body: api.GantryBody, known: Gantry | None) -> Gantry:
    """Return the entry that a body makes of a gantry, without the secrets that stay as they are."""
    entry = Gantry(gantry_id) if known is None else replace(known, pending=False)
    given: dict[str, Any] = {
        name: value.strip() for name in _GIVEN if (value := getattr(body, name)) is not UNSET
    }
    for name in _SECRETS:
        if (secret := getattr(body, name)) is not UNSET:
            given[name] = Secret(secret)
    return replace(entry, **given)


def _standing(session: Session, scope: Scope, gantry_id: str) -> Standing:
    """Return a gantry with its state. Raises HttpError (404)."""
    gantry = scope.gantry(session, gantry_id)
    found = stored.gantry_view(session, gantry.id)
    if found is None:  # pragma: no cover - the same transaction has just found the gantry
        raise HttpError(404, "no-such-gantry", "there is no such gantry")
    return found


def _bad_entry(wrong: Wrong) -> HttpError:
    text = f"{wrong.column}: {wrong.en}"
    return HttpError(400, "bad-entry", text, f"{wrong.column}：{wrong.zh}")


def _changed(entry: Gantry, known: Gantry | None) -> dict[str, Any]:
    """Return what is new in an entry, for the audit; of secrets only that they are new."""
    before = Gantry(entry.id) if known is None else known
    changed: dict[str, Any] = {
        name: getattr(entry, name)
        for name in _GIVEN
        if getattr(entry, name) != getattr(before, name)
    }
    changed |= {name: "***" for name in _SECRETS if getattr(entry, name) is not None}
    return {"new": True, **changed} if known is None else changed


def _within(reports: Sequence[StoredReport], size: int) -> Iterator[StoredReport]:
    """Return the reports up to the one with which their bodies have `size` bytes."""
    for report in reports:
        yield report
        size -= len(report.body)
        if size <= 0:
            return


# The decoder alone takes 10 µs for a number with a great exponent.
_decoder = msgspec.json.Decoder(float_hook=finite)


def _content(body: bytes) -> Any:
    """Return the JSON of a body as it is, or the text of a body that is none."""
    try:
        _decoder.decode(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
    return msgspec.Raw(body)
