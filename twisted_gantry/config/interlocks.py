"""`[[interlock]]`: read, checked against the devices, and against each other."""

from collections.abc import Callable, Mapping
from typing import Any

from twisted_gantry.config.devices import Devices
from twisted_gantry.config.settings import ActionSettings, InterlockSettings
from twisted_gantry.config.tables import Document, Path
from twisted_gantry.core.commands.door import check_command
from twisted_gantry.core.interfaces import IDevice
from twisted_gantry.core.interlocks.rules import Action, Condition, Interlock, fight
from twisted_gantry.core.secret import Secret


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
        settings = document.read(table, InterlockSettings, path, secret)
        if settings is None:
            continue
        interlock = _interlock(document, path, settings, str(index + 1), devices)
        if interlock is None:
            continue
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


def _interlock(
    document: Document, path: Path, settings: InterlockSettings, number: str, devices: Devices
) -> Interlock | None:
    try:
        when = Condition.parse(settings.when)
    except ValueError as error:
        document.wrong((*path, "when"), str(error))
        return None
    if wrong := devices.wrong_point(when.point):
        document.wrong((*path, "when"), wrong)
    actions = {"do": ActionSettings(do=settings.do, args=settings.args)}
    if settings.undo is not None:
        actions["undo"] = settings.undo
    made: dict[str, Action] = {}
    for key, given in actions.items():
        target, _, command = given.do.partition(".")
        action = made[key] = Action(target, command, given.args)
        if wrong := _wrong_action(action, devices.built, confirmed=settings.confirm):
            document.wrong((*path, key), wrong)
    if made.get("undo") == made["do"]:
        document.wrong((*path, "undo"), "is what is done: it undoes nothing")
    name, do, undo = settings.name or number, made["do"], made.get("undo")
    return Interlock(name, when, settings.lasting, do, undo, settings.confirm)


def _wrong_action(action: Action, devices: Mapping[str, IDevice | None], *, confirmed: bool) -> str:
    if action.target not in devices:
        return f"there is no device {action.target!r}; it is written device.command"
    device = devices[action.target]
    if device is None:
        return ""  # the mistakes of the device are reported already
    kind = device.commands.get(action.command)
    if kind is None:
        can = ", ".join(sorted(device.commands)) or "nothing"
        return f"{action.target} cannot do {action.command!r}; it can do: {can}"
    return check_command(kind, action.command, action.args, confirmed=confirmed)
