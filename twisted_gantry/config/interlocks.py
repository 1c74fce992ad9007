"""`[[interlock]]`: read, checked against the devices, and against each other."""

from collections.abc import Callable, Mapping
from typing import Any

from twisted_gantry.config.devices import Devices
from twisted_gantry.config.settings import InterlockSettings
from twisted_gantry.core.commands.door import check_command
from twisted_gantry.core.commands.types import CommandType
from twisted_gantry.core.condition import Condition
from twisted_gantry.core.interfaces import IDevice
from twisted_gantry.core.interlocks.rules import Action, Interlock, fight
from twisted_gantry.settings.tables import Document, Path
from twisted_gantry.wire.secret import Secret


def read_interlocks(
    document: Document, secret: Callable[[Any], Secret], devices: Devices
) -> tuple[Interlock, ...]:
    """Return the interlocks; what is wrong is noted in `document`."""
    found: list[tuple[Path, Interlock]] = []
    types = {
        f"{name}.{command}": kind
        for name, device in devices.built.items()
        if device is not None
        for command, kind in device.commands.items()
    }

    for index, table in enumerate(document.tables("interlock")):
        path: Path = ("interlock", index)
        checks = {"when": devices.wrong_condition}
        settings = document.read(table, InterlockSettings, path, secret, checks=checks)
        # From the table itself: another mistake in it must not hide these.
        for key, given in (("do", table), ("undo", table.get("undo"))):
            action, place = _action_of(given), (*path, key)
            if action is not None:
                document.complain(place, _wrong_action(action, devices.built))
                document.warn(place, "" if table.get("confirm") is True else _doubt(action, types))
        if settings is None:
            continue
        interlock = _interlock(settings, str(index + 1))
        if interlock.undo == interlock.do:
            document.wrong((*path, "undo"), "is what is done: it undoes nothing")
        for place, other in found:
            if other.name == interlock.name:
                document.wrong((*path, "name"), f"a second interlock is named {other.name!r}")
            if fight(other, interlock, types):
                document.wrong(
                    (*path, "do"),
                    f"would fight interlock {other.name!r} (the {int(place[1]) + 1}. in the file): "
                    "both set the same thing; make it one interlock, or leave out the undo",
                )
        found.append((path, interlock))
    return tuple(interlock for _, interlock in found)


def _interlock(settings: InterlockSettings, number: str) -> Interlock:
    do = _action(settings.do, settings.args)
    undo = None if settings.undo is None else _action(settings.undo.do, settings.undo.args)
    when, name = Condition.parse(settings.when), settings.name or number
    return Interlock(name, when, settings.lasting, do, undo)


def _action(do: str, args: Mapping[str, Any]) -> Action:
    target, _, command = do.partition(".")
    return Action(target, command, args)


def _action_of(given: Any) -> Action | None:
    """Return the action of a table as it is in the file; None for one that names no command."""
    do = given.get("do") if isinstance(given, dict) else None
    args = given.get("args", {}) if isinstance(given, dict) else {}
    return _action(do, args) if isinstance(do, str) and isinstance(args, dict) else None


def _doubt(action: Action, types: Mapping[str, CommandType]) -> str:
    """Return the warning about an action that asks; empty for another."""
    kind = types.get(f"{action.target}.{action.command}")
    if kind is None or not kind.asks:
        return ""
    return (
        f"{action.command} on {action.target} {kind.danger}, and nobody is asked; "
        "confirm = true says that this is meant"
    )


def _wrong_action(action: Action, devices: Mapping[str, IDevice | None]) -> str:
    if action.target not in devices:
        return f"there is no device {action.target!r}; it is written device.command"
    device = devices[action.target]
    if device is None:
        return ""  # the mistakes of the device are reported already
    kind = device.commands.get(action.command)
    if kind is None:
        can = ", ".join(sorted(device.commands)) or "nothing"
        return f"{action.target} cannot do {action.command!r}; it can do: {can}"
    return check_command(kind, action.command, action.args)
