"""`[[device]]`: each is read by its kind and built once, so that its driver can check it."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import entry_points
from random import Random
from typing import Any, cast

import msgspec
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from twisted_gantry.config.adjusts import read_adjusts
from twisted_gantry.config.settings import DeviceEntry
from twisted_gantry.core import interfaces
from twisted_gantry.core.catalogue import Catalogue, PointType
from twisted_gantry.core.condition import Condition
from twisted_gantry.core.interfaces import IDevice, IDeviceKind
from twisted_gantry.core.points import Points
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.settings.tables import NO_CHECKS, Document, shown
from twisted_gantry.settings.tables import Path as Place
from twisted_gantry.settings.tls import with_tls
from twisted_gantry.wire.causes import MAINS, Graph, wrong_links
from twisted_gantry.wire.secret import Secret

DEVICE_KINDS = "twisted_gantry.devices"
"""The group of entry points in which kinds of device are found."""

# A device's name begins the names of its points and alarms, beside those of the uplinks.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_RESERVED = frozenset(
    {"etc", "fogslink", "store", "cards", "history", "gantry", "interlock", "bridge", "rule"}
    | {"notify"}
)


@implementer(interfaces.ICallbackHost)
class _NoCallbacks:
    def register(
        self, url: str, receiver: Callable[[bytes], bool], is_source: Callable[[str], bool]
    ) -> Callable[[], None]:
        return lambda: None


def wrong_name(name: Any, own: str = "") -> str:
    """Return what is wrong with the name of a device or an uplink, empty if nothing is. `own` is
    the name of the program itself that may be taken.
    """
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        return f"letters, digits, _ and -, a letter first; it is {shown(name)}"
    taken = name in _RESERVED and name != own
    return f"{name!r} is taken by the program itself" if taken else ""


class Devices:
    """The devices of a configuration; what is wrong is noted in `document`.

    `entries` also has devices whose settings are wrong, by their names: a reference to one is not a
    second mistake. `built` has the device of each entry, not started; None if it cannot be built.
    `tls` are the defaults of all.
    """

    def __init__(
        self, document: Document, secret: Callable[[Any], Secret], tls: TlsSettings
    ) -> None:
        self.entries: dict[str, DeviceEntry] = {}
        self.built: dict[str, IDevice | None] = {}
        self._document, self._secret, self._tls = document, secret, tls
        self._kinds = {each.name: each for each in entry_points(group=DEVICE_KINDS)}
        self._names: set[str] = set()
        self._places: dict[str, Place] = {}
        self._points = Points(Catalogue(), lambda: 0.0)
        for index, table in enumerate(document.tables("device")):
            self._read(table, ("device", index))

    def check_uploads(self, *, monitor: bool) -> None:
        """Check the devices that upload to us; `monitor`: there is a `[monitor]` for that."""
        seen: dict[tuple[str, str], str] = {}
        for name, device in self.built.items():
            if device is None or not interfaces.IUploader.providedBy(device):
                continue
            path = (*self._places[name], "kind")
            first = seen.setdefault(device.uploads_as, name)
            if not monitor:
                self._document.wrong(path, "it uploads to [monitor], which is missing")
            elif first != name:
                self._document.wrong(path, f"{first!r} has the same gantry_id and cabinet_id")

    def check_claims(self) -> None:
        """Check what only one device may have: a driver names each thing that it claims by a key,
        and says in words what it does with the thing.
        """
        claimed: dict[str, str] = {}
        for name, device in self.built.items():
            for what, does in getattr(device, "claims", {}).items():
                first = claimed.setdefault(what, name)
                if first != name:
                    self._document.wrong(self._places[name], f"{first!r} {does}")

    def check_feeders(self) -> None:
        """Check `fed_by`: a device that can switch power off, and no circle."""
        graph = Graph({name: each.fed_by for name, each in self.entries.items() if each.fed_by})
        for name, feeder in graph.feeders.items():
            wrong = ""
            if feeder == MAINS:
                continue
            if feeder not in self.entries:
                wrong = f"there is no device {feeder!r}; it is a device's name, or {MAINS!r}"
            elif graph.feeds(name, name):
                wrong = f"{name} would feed itself"
            elif (device := self.built[feeder]) is not None:
                switches = {rule.name for rule in device.rules} & {"output-off", "power-off"}
                wrong = "" if switches else f"{feeder} feeds nothing; a UPS or a relay does"
            if wrong:
                self._document.wrong((*self._places[name], "fed_by"), wrong)

    def _fed_by(self, table: dict[str, Any], path: Place) -> str:
        given = table.get("fed_by", "")
        if isinstance(given, str):
            return given
        self._document.wrong((*path, "fed_by"), f"must be text; it is {shown(given)}")
        return ""

    def _wrong_number(self, device: str, point: str) -> str:
        """Say what is wrong with a point whose number is to be adjusted."""
        name = f"{device}.{point}"
        if self.built[device] is None:
            return ""  # what is wrong with the device is noted; its points are not known
        if wrong := self.wrong_point(name):
            return wrong
        if name not in self._points.catalogue:
            return ""  # of a part or a row
        return "" if self._points.catalogue[name].is_number else f"{point} is no number"

    def wrong_point(self, name: str) -> str:
        """Say what is wrong with the name of a point; parts and rows are known at run time only."""
        device, _, rest = name.partition(".")
        if device not in self.entries:
            return f"there is no device {device!r}"
        kind = self.entries[device].kind
        first, _, more = rest.partition(".")
        if name in self._points.catalogue or self.built.get(device) is None:
            return ""  # what is wrong with a device is noted; its points are not known
        row_points = getattr(kind, "row_points", None)
        if first in kind.groups and more:
            field = more.partition(".")[2]
            if row_points is None or field in row_points(first):
                return ""
        if kind.parts and re.fullmatch(kind.parts, first) and more:
            known = getattr(kind, "part_points", None)
            if known is None or more in known(first):
                return ""
        return f"{device} has no point {rest!r}"

    def wrong_condition(self, text: str) -> str:
        """Say what is wrong with a condition: its grammar, its point, or the type of its bound."""
        try:
            condition = Condition.parse(text)
        except ValueError as error:
            return str(error)
        name, bound = condition.point, condition.bound
        if wrong := self.wrong_point(name):
            return wrong
        known = self._point_type(name)
        if known is None:
            return ""
        if known.is_number and not isinstance(bound, float):
            return f"{name} is a number: compare it with one, such as {name} > 45"
        if known.values is bool and not isinstance(bound, bool):
            return f"{name} is true or false: write {name}, or {name} == false"
        if known.values is str and not isinstance(bound, str):
            return f"{name} is text: compare it with a text, such as {name} == …"
        return ""

    def _point_type(self, name: str) -> PointType | None:
        """Return the type of a point; None for one whose type is known at run time only."""
        if name in self._points.catalogue:
            return self._points.catalogue[name]
        device, _, rest = name.partition(".")
        found = getattr(self.entries[device].kind, "point_type", None)
        known: PointType | None = None if found is None else found(rest)
        return known

    def _read(self, table: dict[str, Any], path: Place) -> None:
        name, kind = self._name(table, path), self._kind(table, path)
        if kind is None:
            return
        also = frozenset({"name", "kind", "adjust", "fed_by"})
        checks = getattr(kind, "checks", NO_CHECKS)
        settings = self._document.read(table, kind.settings, path, self._secret, also, checks)
        built = None
        if settings is not None:
            settings = with_tls(self._document, path, settings, self._tls)
            # A wrong name does not hide what the driver says.
            built = self._build(DeviceEntry(name or f"{path[-1]}", kind, settings), path)
        if name is not None:
            self.entries[name] = entry = DeviceEntry(name, kind, settings or msgspec.Struct())
            self._places[name], self.built[name] = path, built
            adjusts = read_adjusts(
                self._document, table, path, self._secret, partial(self._wrong_number, name)
            )
            fed_by = self._fed_by(table, path)
            self.entries[name] = replace(entry, adjusts=adjusts, fed_by=fed_by)

    def _name(self, table: dict[str, Any], path: Place) -> str | None:
        name = table.get("name")
        if name is None:
            wrong = "is missing"
        elif not (wrong := wrong_name(name)):
            if name not in self._names:
                self._names.add(name)
                return str(name)
            wrong = f"a second device is named {name!r}"
        self._document.wrong((*path, "name"), wrong)
        return None

    def _kind(self, table: dict[str, Any], path: Place) -> IDeviceKind | None:
        name = table.get("kind")
        if name is None:
            wrong = "is missing"
        elif not isinstance(name, str) or name not in self._kinds:
            wrong = f"unknown kind {shown(name)}; there are: {', '.join(sorted(self._kinds))}"
        else:
            try:
                kind: IDeviceKind = self._kinds[name].load()
                if not IDeviceKind.providedBy(kind):
                    raise TypeError("it is no kind of device")
                if wrong := wrong_links(tuple(getattr(kind, "causes", ()))):
                    raise TypeError(wrong)
                return kind
            except Exception as error:  # a driver may be anybody's
                wrong = f"the driver of {name!r} does not load: {error}"
        self._document.wrong((*path, "kind"), wrong)
        return None

    def _build(self, entry: DeviceEntry, path: Place) -> IDevice | None:
        """Build a device, never started: its driver checks more than the types of its keys."""

        def no_thread(*_: object) -> Deferred[Any]:
            return fail(RuntimeError("only tried"))

        nothing = cast("Any", None)
        means = (nothing, self._points, lambda: 0.0, Random(0), no_thread)  # noqa: S311
        context = interfaces.DeviceContext(*means, nothing, _NoCallbacks(), "")
        try:
            return entry.kind.build(entry.name, entry.settings, context)
        except interfaces.WrongSetting as error:
            self._document.wrong((*path, error.key), str(error))
        except Exception as error:  # a driver may be anybody's
            text = str(error) or type(error).__name__
            self._document.wrong(path, f"the driver cannot use it: {text}")
        return None
