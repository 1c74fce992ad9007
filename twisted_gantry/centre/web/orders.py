"""Commands for gantries: previewed, handed in, and followed by gantry."""

from typing import Any

import msgspec

from twisted_gantry.centre.control.desk import CommandDesk, ConfirmNeeded, NoGantry, Preview
from twisted_gantry.centre.control.order import Asker, Choice, Order, order_of
from twisted_gantry.centre.store.chosen import WHY
from twisted_gantry.centre.store.commands import CommandSeen, OrderSeen, OtherCommand
from twisted_gantry.centre.web.call import Call
from twisted_gantry.net.http.arguments import MAX_COMPLAINT
from twisted_gantry.net.http.json import HttpError, read_object
from twisted_gantry.net.times import TimeText
from twisted_gantry.wire import centre_orders as api
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.controls import CONTROLS, ControlType
from twisted_gantry.wire.etc.envelope import Method

MOST_UNABLE = 1000
"""Gantries without the command that a preview names."""
# A command may name each of its gantries.
_MOST_BYTES, _MOST_NODES = 4 * 1024 * 1024, api.MOST_GANTRIES + 1000
_OWN = {each.encode_name for each in msgspec.structs.fields(api.OrderBody)}


class Orders:
    """Hands commands in at the desk, and shows them."""

    def __init__(self, desk: CommandDesk, time: TimeText) -> None:
        self._desk, self._time = desk, time

    def methods(self, call: Call) -> api.MethodList:
        return api.MethodList([_method(name, each) for name, each in CONTROLS.items()])

    async def preview(self, call: Call) -> api.OrderPreview:
        choice, order, _ = _read(call)
        try:
            return _preview(await self._desk.preview(choice, order, asker_of(call)))
        except NoGantry as error:
            raise no_gantry(error) from None

    async def submit(self, call: Call) -> api.OrderTaken:
        """Raises HttpError: 404 for gantries that are unknown, 409 `confirm-needed`."""
        choice, order, body = _read(call)
        try:
            made = await self._desk.submit(
                choice,
                order,
                asker_of(call),
                confirmed=body.confirm,
                expiry=body.expires,
                request=body.id or "",
            )
        except ConfirmNeeded as error:
            en, zh = f'{error.en}: "confirm": true', f"{error.zh}：confirm: true"
            raise HttpError(409, "confirm-needed", en, zh) from None
        except NoGantry as error:
            raise no_gantry(error) from None
        except OtherCommand:
            text = "this id was used for another command"
            raise HttpError(409, "id-used", text) from None
        return api.OrderTaken(made)

    async def listed(self, call: Call) -> api.OrderList:
        limit, after = call.limit(), call.after()
        found = await self._desk.list(
            asker_of(call), limit=limit + 1, after=str(after[0]) if after else ""
        )
        more = (found[limit - 1].id,) if len(found) > limit else None
        return api.OrderList([self._view(each) for each in found[:limit]], call.cursor(more))

    async def one(self, call: Call) -> api.OrderView:
        which, limit, after = call.parts["id"], call.limit(1000), call.after(call.parts["id"])
        found = await self._desk.get(
            which, asker_of(call), limit=limit, after=str(after[0]) if after else ""
        )
        if found is None:
            raise HttpError(404, "no-such-command", f"there is no command {which[:40]!r}")
        more = None if found.after is None else (found.after,)
        return self._view(found, call.cursor(more, which))

    def _view(self, seen: CommandSeen, after: str | None = None) -> api.OrderView:
        return api.OrderView(
            id=seen.id,
            method=seen.method,
            args=dict(seen.fields),
            does=list(seen.names),
            by=seen.who,
            at=self._time(seen.asked),
            expires_at=self._time(seen.expires),
            gantries=seen.gantries,
            counts={state.value: number for state, number in seen.counts.items()},
            over=seen.over,
            outcomes=[self._outcome(each) for each in seen.orders],
            after=after,
        )

    def _outcome(self, order: OrderSeen) -> api.OrderOutcome:
        return api.OrderOutcome(
            order.gantry,
            order.state.value,
            self._time(order.sent_at),
            self._time(order.ended_at),
            order.code or None,
            order.message or None,
            order.message_zh or None,
            order.result,
        )


def asker_of(call: Call) -> Asker:
    return Asker(call.who, call.scope.roads)


def no_gantry(error: NoGantry) -> HttpError:
    return HttpError(404, "no-such-gantry", error.en, error.zh)


def _read(call: Call) -> tuple[Choice, Order, api.OrderBody]:
    """Return the body of a command. Members that are not its own are fields of the method. Raises
    HttpError (400).
    """
    given = read_object(call.request, size=_MOST_BYTES, nodes=_MOST_NODES)
    fields = {name: value for name, value in given.items() if name not in _OWN}
    own = {name: value for name, value in given.items() if name in _OWN}
    try:
        body = msgspec.convert(own, api.OrderBody)
        order = order_of(body.method, _fields(body.args, fields))
    except (msgspec.ValidationError, BadMessage) as error:
        raise HttpError(400, "bad-request", str(error)[:MAX_COMPLAINT]) from None
    choice = body.gantries
    if isinstance(choice, api.GantriesOf):
        return Choice((), choice.road, choice.section, choice.all), order, body
    return Choice(tuple(choice)), order, body


def _fields(args: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    if args and fields:
        raise BadMessage("the fields stand in args, or beside the method, not in both places")
    return args or fields


def _preview(preview: Preview) -> api.OrderPreview:
    unable = [api.Unable(e.id, *WHY[e.cannot]) for e in preview.cannot[:MOST_UNABLE]]
    return api.OrderPreview(
        preview.gantries,
        preview.able,
        unable,
        list(preview.names),
        preview.endangers or None,
        preview.danger or None,
        preview.danger_zh or None,
        list(preview.maintenance[:MOST_UNABLE]),
    )


def _method(name: str, control: ControlType) -> api.MethodView:
    fields = [
        api.FieldView(field, each.required, list(each.choices))
        for field, each in control.fields.items()
    ]
    given = {} if control.cmd is None else {"cmd": str(control.cmd.value)}
    if name == "update-now":
        given = {"updateNow": "1"}
    return api.MethodView(
        name,
        Method.CABINET_CONTROL.value,
        given,
        control.en,
        control.zh,
        fields,
        control.endangers or None,
        control.danger or None,
        control.danger_zh or None,
    )
