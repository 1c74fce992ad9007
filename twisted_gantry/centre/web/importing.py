"""`POST /api/v1/gantries/import`: many entries of the registry from a file, all of them or none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from openpyxl.utils.cell import get_column_letter

from twisted_gantry.centre.interfaces import IReportStore, Session
from twisted_gantry.centre.marred import Marred
from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.sheet import Cells, NoTable, rows_of
from twisted_gantry.centre.store import audit, registry
from twisted_gantry.centre.store.registry import NotRegistered, same
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.centre.web.call import Call
from twisted_gantry.centre.web.gantry_entry import COLUMNS, KNOWN_ONLY, Column, wrong_members
from twisted_gantry.centre.web.scope import Scope
from twisted_gantry.net.http.json import HttpError, header
from twisted_gantry.net.http.multipart import NotOnePart, content_of
from twisted_gantry.net.threads import InThread
from twisted_gantry.wire import centre_api as api
from twisted_gantry.wire.local_api import ErrorDetail
from twisted_gantry.wire.secret import Secret

MOST_ERRORS = 1000
"""Errors that are answered; the file is refused anyhow."""
_SECRETS = ("auth", "api_key")


@dataclass
class _Read:
    """The entries of a file by row, and what is wrong with it. `headings` are those of the file by
    the fields of an entry.
    """

    entries: dict[int, Gantry] = field(default_factory=dict)
    headings: dict[str, str] = field(default_factory=dict)
    errors: list[api.RowError] = field(default_factory=list)

    def wrong(self, row: int, column: str, en: str, zh: str) -> None:
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(api.RowError(row, self.headings.get(column, column), en, zh))


class Importing:
    """Takes files. `in_thread` runs what blocks."""

    def __init__(self, store: IReportStore, sealing: Sealing, in_thread: InThread) -> None:
        self._store, self._sealing, self._in_thread = store, sealing, in_thread

    async def take(self, call: Call) -> api.Imported:
        """Take a file, or with `dryRun=1` only say what it would do. An empty cell of a gantry that
        is known leaves its secrets as they are, and empties any other member of a column that the
        file has. Raises HttpError (400) for what is no table.
        """
        content, dry_run = file_of(call), call.flag("dryRun")
        try:
            read: _Read = await self._in_thread(read_entries, content)
        except NoTable as error:
            raise HttpError(400, "no-table", str(error), error.zh) from None
        if dry_run:
            plan = await self._store.read(lambda session: self._plan(session, call.scope, read))
        else:
            try:
                plan = await self._store.write(lambda session: self._write(session, call, read))
            except NotRegistered as error:
                raise HttpError(400, "bad-rows", str(error)) from None
        return _told(call, plan, dry_run=dry_run)

    def _write(self, session: Session, call: Call, read: _Read) -> "_Plan":
        plan = self._plan(session, call.scope, read)
        if plan.errors:
            return plan
        if plan.entries:
            registry.put(session, plan.entries, self._sealing)
        counts = {"created": plan.created, "changed": plan.changed}
        roads = {each.road for each in plan.entries}
        road = roads.pop() if len(roads) == 1 else ""
        target = f"{len(plan.entries)} gantries"
        audit.note(session, call.who, call.operation.id, target, road=road, details=counts)
        return plan

    def _plan(self, session: Session, scope: Scope, read: _Read) -> "_Plan":
        """Hold the entries against the registry, and against what the person may change."""
        found = _Read(headings=read.headings, errors=list(read.errors))
        plan = _Plan(errors=found.errors)
        known = {same(each.id): each for each in registry.gantries(session, self._sealing)}
        taken = {each.eq_sn: key for key, each in known.items() if each.eq_sn}
        for row, given in read.entries.items():
            old = known.get(same(given.id))
            entry = _merged(given, old, read.headings)
            if not scope.has(entry.road) or (old is not None and not scope.has(old.road)):
                found.wrong(row, "road", "this road is not yours", "无权操作该路线")
                continue
            if entry.eq_sn and taken.setdefault(entry.eq_sn, same(entry.id)) != same(entry.id):
                found.wrong(row, "eq_sn", "another gantry has this eqSN", "设备序列号已被占用")
                continue
            plan.add(entry, old)
        return plan


@dataclass
class _Plan:
    """What an import does: the entries that are new or changed."""

    errors: Sequence[api.RowError]
    entries: list[Gantry] = field(default_factory=list)
    created: int = 0
    changed: int = 0
    same: int = 0

    def add(self, entry: Gantry, old: Gantry | None) -> None:
        if old is not None and _shown(old) == _shown(entry):
            self.same += 1
            return
        self.entries.append(entry)
        self.created += old is None
        self.changed += old is not None


def _told(call: Call, plan: _Plan, *, dry_run: bool) -> api.Imported:
    """Return the answer; a refusal says so as every error does."""
    errors = sorted(plan.errors, key=lambda error: error.row)
    if dry_run or not errors:
        return api.Imported(plan.created, plan.changed, plan.same, dry_run, errors)
    call.request.setResponseCode(400)
    en, zh = f"{len(errors)} mistakes; nothing was stored", f"有{len(errors)}处错误，未导入"
    return api.Imported(errors=errors, error=ErrorDetail("bad-rows", en, zh))


def file_of(call: Call) -> bytes:
    """Return the file, which is the body or the one part of a form. Raises HttpError (400)."""
    content = call.request.content
    assert content is not None  # set once the request is complete
    try:
        file = content_of(header(call.request, "content-type"), content.read())
    except NotOnePart as error:
        raise HttpError(400, "no-table", str(error)) from None
    if not file.strip():
        raise HttpError(400, "no-table", "the body is empty; it is the file")
    return file


# -- the file


def _heading(text: str) -> str:
    return "".join(text.lower().split()).strip("*＊")


_BY_HEADING: Mapping[str, Column] = {
    _heading(text): each
    for each in (*COLUMNS, *KNOWN_ONLY)
    for text in (each.name, each.en, each.zh, each.field)
} | {_heading("gantryId"): COLUMNS[0], _heading("门架ID"): COLUMNS[0]}


def read_entries(content: bytes) -> _Read:
    """Return the entries of a file and its mistakes. Raises NoTable."""
    read, rows = _Read(), rows_of(content)
    number, headings = next(rows, (1, []))
    columns = _columns(read, number, headings)
    if "id" not in read.headings:
        read.wrong(number, COLUMNS[0].zh, "there is no column of ids", "缺少门架编号列")
        return read
    seen: dict[str, int] = {}
    for number, cells in rows:
        if _lost(read, number, columns, headings, cells):
            continue
        entry = _entry(columns, cells)
        mistakes = list(wrong_members(entry))
        for wrong in mistakes:
            read.wrong(number, _FIELD_OF[wrong.column], wrong.en, wrong.zh)
        if mistakes:
            continue
        first = seen.setdefault(same(entry.id), number)
        if first != number:
            read.wrong(number, "id", f"stands in row {first} as well", f"与第{first}行重复")
            continue
        read.entries[number] = entry
    return read


_FIELD_OF = {each.name: each.field for each in COLUMNS}


def _columns(read: _Read, number: int, headings: Cells) -> list[str | None]:
    """Return the field of each column; what is no heading is an error, so that nothing is lost."""
    columns: list[str | None] = []
    for cell in headings:
        text = str(cell)
        column = _BY_HEADING.get(_heading(text))
        columns.append(None if column is None or column in KNOWN_ONLY else column.field)
        if column is None:
            if text:
                read.wrong(number, text, "is no heading of the template", "不是模板中的标题")
        elif column in KNOWN_ONLY:
            continue
        elif column.field in read.headings:
            read.wrong(number, text, "stands twice", "标题重复")
        else:
            read.headings[column.field] = text
    return columns


def _lost(
    read: _Read, number: int, columns: Sequence[str | None], headings: Cells, cells: Cells
) -> bool:
    """Note what a row has that would be lost, and tell whether there is such a cell."""
    before = len(read.errors)
    for place, cell in enumerate(cells):
        name = columns[place] if place < len(columns) else None
        if isinstance(cell, Marred):
            if name is not None:
                read.wrong(number, name, cell.en, cell.zh)
        elif cell and (place >= len(columns) or not headings[place]):
            column = get_column_letter(place + 1)
            read.wrong(number, column, "stands below no heading", "所在列没有标题")
    return len(read.errors) > before


def _entry(columns: Sequence[str | None], cells: Cells) -> Gantry:
    given: dict[str, str] = {
        name: value for name, value in zip(columns, cells, strict=False) if name is not None
    }
    secrets = {name: Secret(given[name]) for name in _SECRETS if given.get(name)}
    texts = {name: value for name, value in given.items() if name not in _SECRETS}
    return Gantry(**{"id": "", **texts, **secrets})  # type: ignore[arg-type]


def _merged(given: Gantry, old: Gantry | None, headings: Mapping[str, str]) -> Gantry:
    """Return the entry that a row makes of a gantry: the columns that the file has replace."""
    if old is None:
        return given
    changed = {name: getattr(given, name) for name in headings if name not in ("id", *_SECRETS)}
    secrets = {name: getattr(given, name) or getattr(old, name) for name in _SECRETS}
    return replace(old, **changed, **secrets, pending=False)


def _shown(gantry: Gantry) -> tuple[object, ...]:
    secrets = [getattr(gantry, name) for name in _SECRETS]
    shown = [None if each is None else each.reveal() for each in secrets]
    return (replace(gantry, auth=None, api_key=None), *shown)
