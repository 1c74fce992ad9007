"""`gantryctl registers`: the Modbus registers of a cFos Power Brain, by name."""

import uuid
from typing import Any

import click

from twisted_gantry.ctl import client
from twisted_gantry.ctl.errors import Exit, Trouble
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.output import Column
from twisted_gantry.ctl.session import Session, json_option, pass_session
from twisted_gantry.wire import local_api
from twisted_gantry.wire.cfos.registers import DEVICES, Register
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.json import loads

_EXPIRES = 30.0


@click.command(cls=Command, short_help="Registers of a cFos device. · cFos 设备的寄存器")
@click.argument("target", metavar="TARGET")
@click.argument("device", metavar="DEVICE", type=click.Choice(sorted(DEVICES)))
@click.argument("address", metavar="[ADDRESS]", default="all")
@json_option
@pass_session
def registers(session: Session, target: str, device: str, address: str) -> int:
    """Read the registers of DEVICE (evse, meter1, meter2) at the manager TARGET.

    读取管理器 TARGET 上 DEVICE 的寄存器。

    \b
      gantryctl registers cfos meter2          all of them · 全部
      gantryctl registers cfos evse 8093       one; d, q, s for wider ones · 单个
    """
    wish: dict[str, Any] = {
        "target": target,
        "command": "read-register",
        "args": {"device": device, "read": address},
        "id": uuid.uuid4().hex,
    }
    with session.waiting(session.texts("doing", target=target, command="read-register")):
        answer = session.api.post("/api/v1/commands", wish, _EXPIRES + client.GRACE)
    outcome = answer.fit(local_api.CommandAnswer)
    if session.json:
        session.show_json(answer.document)
        return Exit.FINE if outcome.result == "done" else Exit.WRONG
    if outcome.result != "done":
        raise Trouble("not-read", reason=outcome.detail or outcome.result)
    columns = (
        *Column.each("address", "name"),
        Column("value", number=True),
        Column("unit", under="value"),
    )
    rows = []
    for printed, value in _values(address, outcome.value).items():
        register = _register(device, printed)
        shown, symbol = _scaled(register, value)
        name = register.name if register is not None else ""
        rows.append((printed, name, shown, symbol))
    session.show(session.table(columns, rows))
    return Exit.FINE


def _values(address: str, value: Any) -> dict[str, Any]:
    """Return the values by printed address: `8062d`."""
    if address != "all":
        return {address: value}
    try:
        decoded = loads(value.encode()) if isinstance(value, str) else value
    except WireError:
        decoded = None
    if not isinstance(decoded, dict):
        raise Trouble("not-read", reason=str(value)[:100])
    return {str(key): each for key, each in decoded.items()}


def _register(device: str, printed: str) -> Register | None:
    digits = printed.rstrip("dqs")
    return DEVICES[device].get(int(digits)) if digits.isdecimal() else None


def _scaled(register: Register | None, value: Any) -> tuple[Any, str]:
    """Return a value in its unit: a register in 0.1 A is shown in A."""
    if register is None or not register.unit or isinstance(value, bool | str):
        return value, ""
    scaled = round(value * register.scale, 3)
    return int(scaled) if scaled == int(scaled) else scaled, register.unit
