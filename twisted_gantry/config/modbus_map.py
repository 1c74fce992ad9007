"""The file of an own Modbus map, `map` of `[bridge.modbus]`: read and checked whole."""

from pathlib import Path
from typing import Any

from twisted_gantry.bridges.modbus.image import reachable
from twisted_gantry.bridges.modbus.settings import MapCommand, MapFile
from twisted_gantry.config.devices import Devices
from twisted_gantry.net.text_files import read_text
from twisted_gantry.settings.tables import Document
from twisted_gantry.settings.tables import Path as Place
from twisted_gantry.wire.secret import Secret


def _no_secret(value: Any) -> Secret:
    raise ValueError("there are no secrets in a map")


def read_map(document: Document, key: Place, path: Path, devices: Devices) -> MapFile | None:
    """Read the map; what is wrong is noted in `document`, at the place in the map's own file."""
    try:
        text = read_text(path)
    except OSError as error:
        document.wrong(key, f"the file {path} cannot be read: {error.strerror}")
        return None
    except UnicodeDecodeError:
        document.wrong(key, f"{path} is not UTF-8")
        return None
    own = Document.parse(text, str(path))
    given = None
    if not own.problems:
        given = own.read(own.root, MapFile, (), _no_secret)
        for name in ("point", "bit"):
            for at, table in enumerate(own.tables(name)):
                point = table.get("point")
                if isinstance(point, str) and (wrong := devices.wrong_point(point)):
                    own.wrong((name, at, "point"), wrong)
        for at, bit in enumerate(given.bit if given is not None else ()):
            if wrong := _wrong_alarm(bit.alarm, devices):
                own.wrong(("bit", at, "alarm"), wrong)
        for at, command in enumerate(given.command if given is not None else ()):
            if wrong := _wrong_command(command, devices):
                own.wrong(("command", at, "command"), wrong)
    document.problems += own.problems
    return given


def _wrong_alarm(alarm: str, devices: Devices) -> str:
    """Say that a device has no such alarm; what other sources raise is not known here."""
    name, _, rest = alarm.partition(".")
    device = devices.built.get(name)
    known = {"offline", *(rule.name for rule in device.rules)} if device is not None else set()
    return f"{name} has no alarm {rest!r}" if known and alarm.split(".")[-1] not in known else ""


def _wrong_command(given: MapCommand, devices: Devices) -> str:
    if given.target not in devices.entries:
        return f"there is no device {given.target!r}"
    device = devices.built[given.target]
    if device is None:
        return ""  # what is wrong with the device is noted
    kind = device.commands.get(given.command)
    if kind is None:
        return f"{given.target} cannot do {given.command!r}"
    if kind.asks:
        return f"{given.command} asks for a confirmation: Modbus cannot reach it"
    wanted = reachable(kind)
    if wanted is None:
        return f"{given.command} needs more than one number: Modbus cannot reach it"
    if given.coil is not None and wanted[1] is not bool:
        return f"{given.command} needs a number: a register, not a coil"
    return ""
