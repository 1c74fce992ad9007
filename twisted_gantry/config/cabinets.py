"""`[[cabinet]]`: the devices, or parts of devices, that its report is made of."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from twisted_gantry.config.settings import GROUPS, CabinetSettings, DeviceEntry
from twisted_gantry.core.site import Cabinet
from twisted_gantry.settings.tables import Document, Path
from twisted_gantry.wire.secret import Secret


def read_cabinets(
    document: Document, secret: Callable[[Any], Secret], devices: Mapping[str, DeviceEntry]
) -> list[Cabinet]:
    """Return the cabinets; what is wrong is noted in `document`."""
    cabinets: list[Cabinet] = []
    for index, table in enumerate(document.tables("cabinet")):
        path: Path = ("cabinet", index)
        settings = document.read(table, CabinetSettings, path, secret)
        sources: dict[str, tuple[str, ...]] = {}
        for group in GROUPS:
            # From the table itself: another mistake in it must not hide these.
            given = table.get(group, [])
            names = tuple(given) if isinstance(given, list) else (given,)
            if names:
                sources[group] = names
            texts = [name for name in names if isinstance(name, str)]
            if len(set(texts)) < len(texts):
                document.wrong((*path, group), "a source is named twice")
            for name in texts:
                if wrong := _wrong_source(name, group, devices):
                    document.wrong((*path, group), wrong)
        if settings is None:
            continue
        if any(each.id == settings.id for each in cabinets):
            document.wrong((*path, "id"), f"a second cabinet has the id {settings.id!r}")
        modes, may_be_off = settings.allow_power_modes, settings.allow_rectifier_off
        cabinets.append(Cabinet(settings.id, sources, settings.ups_meaning, modes, may_be_off))
    return cabinets


def _wrong_source(name: str, group: str, devices: Mapping[str, DeviceEntry]) -> str:
    device, dot, part = name.partition(".")
    if device not in devices:
        return f"there is no device {device!r}"
    kind = devices[device].kind
    if group not in kind.groups:
        return f"{name!r} ({kind.kind}) cannot be the source of {group}"
    groups_of, settings = getattr(kind, "groups_of", None), devices[device].settings
    is_read = isinstance(settings, kind.settings)  # what is wrong with the device is noted
    if groups_of is not None and is_read and group not in groups_of(settings):
        return f"no point of {device} has a role of {group}"
    if bool(dot) != bool(kind.parts) or not re.fullmatch(kind.parts, part):
        of = f"a part of it, {device}.M1" if kind.parts else f"{device} itself"
        return f"{name!r} ({kind.kind}) is no source, but {of}, can be"
    return ""
