"""The objects of the core as types of the local API."""

from collections.abc import Mapping
from typing import Any, TypedDict, TypeVar

from msgspec import UNSET, UnsetType
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.logger import Logger

from twisted_gantry.access.people import User
from twisted_gantry.core.alarms import Alarm
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import CommandType
from twisted_gantry.core.interfaces import DROPPED, IBridge, ICalled, IDevice, IUplink
from twisted_gantry.core.interlocks.machine import Kept
from twisted_gantry.core.points import Point
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import Status
from twisted_gantry.core.stored import AuditEntry, Ledger, Report
from twisted_gantry.net.times import TimeText
from twisted_gantry.texts.phrases import detail_in
from twisted_gantry.wire import local_api as shapes
from twisted_gantry.wire.causes import Fold, Graph
from twisted_gantry.wire.secret import shown

_log = Logger()

_Sender = TypeVar("_Sender", bound=shapes.Uplink)

_TYPE_NAMES: Mapping[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
}


class Ledgers:
    """Reads the ledgers of all uplinks and targets; logs once when the store fails."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._failing = False

    async def read(self) -> dict[str, Ledger | None]:
        """Return the ledgers by the names of the queues; None for a ledger that was not read."""
        names = list(self._site.queues())
        found = await gatherResults([ensureDeferred(self._read(name)) for name in names])
        failing = None in found
        if failing and not self._failing:
            _log.warn("the store cannot tell what the outbox holds")
        self._failing = failing
        return dict(zip(names, found, strict=True))

    async def _read(self, uplink: str) -> Ledger | None:
        try:
            ledger: Ledger = await self._site.store.ledger(uplink)
        except Exception:  # the rest of the page is needed most when the disk fails
            _log.debug("the ledger of {uplink} cannot be read", uplink=uplink)
            return None
        return ledger


def device(name: str, device: IDevice, time: TimeText, graph: Graph) -> shapes.Device:
    """Return a device; `graph` knows what feeds it."""
    status = device.status
    state = (status.state.value, time(status.since), status.last_error)
    fed_by = graph.feeders.get(name)
    return shapes.Device(name, device.kind, *state, fed_by, **_trouble(status, time))


def uplink(name: str, uplink: IUplink, ledger: Ledger | None, time: TimeText) -> shapes.Uplink:
    """Return an uplink; counts are null without a ledger."""
    return _sender(shapes.Uplink, name, uplink, ledger, time)


def target(
    name: str, target: ICalled, ledger: Ledger | None, time: TimeText
) -> shapes.NotifyTarget:
    """Return a target of notifications; counts are null without a ledger."""
    return _sender(shapes.NotifyTarget, name, target, ledger, time)


def _sender(
    shape: type[_Sender], name: str, sender: Any, ledger: Ledger | None, time: TimeText
) -> _Sender:
    status = sender.status
    kept = None if ledger is None else _ledger(ledger, time)
    queued, set_aside = (None, None) if kept is None else (kept.queued, kept.set_aside)
    state = (status.state.value, time(status.since), status.last_error)
    delivered, trouble = time(sender.last_delivered), _trouble(status, time)
    return shape(name, *state, queued, set_aside, delivered, kept, sender.kind, **trouble)


def bridge(name: str, bridge: IBridge, time: TimeText) -> shapes.Bridge:
    status = bridge.status
    state = (status.state.value, time(status.since), status.last_error)
    queues = [shapes.QueueView(word, *fill) for word, fill in bridge.queues.items()]
    dropped = bridge.counts.get(DROPPED, 0)
    trouble = _trouble(status, time)
    return shapes.Bridge(name, "bridge", *state, bridge.peers, dropped, queues, **trouble)


class _Trouble(TypedDict):
    last_error_zh: str | None
    last_error_at: str | None
    cause: str | None
    advice: str | None
    advice_zh: str | None


def _trouble(status: Status, time: TimeText) -> _Trouble:
    """Return the members of `shapes.Troubled`."""
    now = status.outage
    return {
        "last_error_zh": status.last_error_zh,
        "last_error_at": time(status.last_error_at),
        "cause": None if now is None else now.cause.value,
        "advice": None if now is None else now.advice,
        "advice_zh": None if now is None else now.advice_zh,
    }


def _ledger(ledger: Ledger, time: TimeText) -> shapes.LedgerView:
    kept, counts = ledger, (ledger.created, ledger.delivered, ledger.queued, ledger.set_aside)
    oldest, as_of = (None if m is None else time(m.wall) for m in (kept.oldest, kept.as_of))
    return shapes.LedgerView(*counts, kept.dropped, kept.size, oldest, kept.not_stored, as_of)


def point(point: Point, kind: PointType, time: TimeText) -> shapes.PointView:
    label = shapes.Label(kind.en, kind.zh)
    at = time(point.at)
    return shapes.PointView(point.name, point.value, kind.unit, point.quality.value, at, label)


def alarm(alarm: Alarm, time: TimeText, fold: Fold) -> shapes.AlarmView:
    """Return an alarm; `fold` is that of the active ones."""
    return shapes.AlarmView(
        alarm=alarm.name,
        source=alarm.source,
        severity=alarm.severity.value,
        message=alarm.message,
        message_zh=alarm.message_zh,
        raised_at=time(alarm.raised_at),
        cleared_at=time(alarm.cleared_at),
        cause=fold.causes.get(alarm.name) if alarm.active else None,
        consequences=list(fold.consequences.get(alarm.name, ())) if alarm.active else [],
        state=alarm.stage.value,
        value=alarm.value,
        count=alarm.count,
        acked_by=alarm.acked_by or None,
        acked_at=time(alarm.acked_at),
        note=alarm.note or None,
        shelved_until=time(alarm.shelved_until),
        muted=alarm.muted,
        unknown=alarm.unknown,
        ended_by=alarm.ended_by or None,
        called=[shapes.CallView(whom, time(at)) for whom, at in alarm.called],
    )


def command(name: str, kind: CommandType) -> shapes.CommandInfo:
    arguments = [
        shapes.ArgumentInfo(
            argument_name,
            _TYPE_NAMES.get(argument.type, argument.type.__name__),
            argument.required,
            argument.secret,
            tuple(argument.choices),
        )
        for argument_name, argument in kind.arguments.items()
    ]
    danger_zh, locked_zh = kind.danger_zh or kind.danger, kind.locked_zh or kind.locked
    return shapes.CommandInfo(
        name,
        kind.en,
        kind.zh,
        arguments,
        kind.danger,
        danger_zh,
        kind.locked,
        locked_zh,
        kind.endangers,
    )


_STANDINGS: Mapping[Kept, str] = {
    Kept.IDLE: "idle",
    Kept.DO: "waiting",
    Kept.DOING: "acting",
    Kept.HELD: "in-force",
    Kept.UNDO: "waiting",
    Kept.UNDOING: "acting",
}


def interlocks(site: Site) -> list[shapes.InterlockView]:
    """Return the interlocks, and where each stands."""
    if site.interlocks is None:
        return []
    alarms = {each.name: each for each in site.alarms.active("interlock")}
    found = []
    for each, kept in site.interlocks.standing():
        alarm = alarms.get(f"interlock.{each.name}")
        found.append(
            shapes.InterlockView(
                name=each.name,
                when=each.when.text,
                point=each.when.point,
                delay=each.delay,
                target=each.do.target,
                does=each.do.command,
                undoes_on=None if each.undo is None else each.undo.target,
                undoes=None if each.undo is None else each.undo.command,
                state=_STANDINGS[kept],
                why=None if alarm is None else alarm.en,
                why_zh=None if alarm is None else alarm.zh,
            )
        )
    return found


def user(user: User) -> shapes.UserView:
    person = user.person
    given = user.password is not None, user.token is not None
    return shapes.UserView(person.name, person.role.value, *given)


def audit_entry(e: AuditEntry, time: TimeText, *, is_zh: bool = False) -> shapes.AuditView:
    """Return an entry of the audit; the command door has masked its secrets."""
    at = time(e.at)
    told = e.result, e.detail, detail_zh(e.detail, is_zh=is_zh)
    return shapes.AuditView(e.id, at, e.who, e.target, e.command, e.args, *told)


def detail_zh(detail: str, *, is_zh: bool) -> str | UnsetType:
    """Return the Chinese of the detail of an outcome, for who reads it, and where there is any."""
    zh = detail_in("zh", detail) if is_zh else detail
    return UNSET if zh == detail else zh


LONGEST_ANSWER = 1000  # characters of an answer that are shown


def report(r: Report, time: TimeText, *, with_body: bool = False) -> shapes.ReportView:
    """Return a stored report; its body has no secret: codes and keys are sent beside the body."""
    at, size = time(r.made.wall), len(r.body)
    body = r.body.decode("utf-8", "replace") if with_body else UNSET
    answer = shown(r.answer, most=LONGEST_ANSWER) if with_body and r.answer else UNSET
    return shapes.ReportView(
        r.id,
        r.uplink,
        r.kind,
        r.subject,
        r.state,
        at,
        bool(r.urgent),
        r.tries,
        r.reason,
        size,
        body,
        answer,
        not r.stored,
    )
