"""Which gantries a choice means, and which of them can be commanded at all."""

from collections.abc import Collection
from dataclasses import dataclass

from twisted_gantry.centre.control.order import Choice
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Row
from twisted_gantry.centre.store.registry import same
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.commands import server_url

_COLUMNS = "id, road, remote_control, pending, auth IS NOT NULL, same"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A gantry of a choice; `cannot` is why it gets no command, a key of `WHY`."""

    id: str
    road: str
    cannot: str = ""


WHY = {
    "unknown": ("the registry has no such gantry", "台账中没有该门架"),
    "pending": ("it waits for a person to approve it", "等待人工批准"),
    "no-url": ("the registry has no URL of its remotecontrol.do", "未登记其remotecontrol.do地址"),
    "bad-url": ("the URL of its remotecontrol.do is no URL", "其remotecontrol.do地址无效"),
    "no-code": ("the registry has no binfile-auth of it", "未登记其binfile-auth"),
}
"""Why a gantry cannot be commanded, in English and Chinese."""


def url_of(given: str) -> str:
    """Return the URL of a gantry's `remotecontrol.do`; by default it is http. Raises BadMessage."""
    return server_url(given.strip(), "http")


def chosen(session: Session, choice: Choice, roads: Collection[str] | None) -> list[Chosen]:
    """Return the gantries of a choice by id; with `roads` those of other roads are unknown."""
    found = {row[5]: row for row in _rows(session, choice) if roads is None or row[1] in roads}
    known = [_chosen(row) for row in found.values()]
    missing = dict.fromkeys(each for each in choice.gantries if same(each) not in found)
    known += [Chosen(each, "", "unknown") for each in missing]
    return sorted(known, key=lambda each: each.id)


def _rows(session: Session, choice: Choice) -> list[Row]:
    select = f"SELECT {_COLUMNS} FROM gantries WHERE"  # noqa: S608
    if choice.everything:
        return session.rows(f"{select} 1 = 1")
    if choice.road and choice.section:
        where = f"{select} road = ? AND section = ?"
        return session.rows(where, choice.road, choice.section)
    if choice.road:
        return session.rows(f"{select} road = ?", choice.road)
    if choice.gantries:
        ids = list(dict.fromkeys(map(same, choice.gantries)))
        return session.rows(f"{select} same {{in}}", ids)
    return []


def _chosen(row: Row) -> Chosen:
    gantry, road, url, pending, has_code, _ = row
    why = "pending" if pending else "" if url.strip() else "no-url"
    if not why:
        try:
            url_of(url)
        except BadMessage:
            why = "bad-url"
    return Chosen(gantry, road, why or ("" if has_code else "no-code"))
