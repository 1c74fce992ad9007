"""The configuration: TOML, checked whole, into settings. Shapes: `docs/configuration.md`."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any, TypeVar, cast

import msgspec
from msgspec.structs import replace
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from twisted_gantry.access.secrets import wrong_secret
from twisted_gantry.config import checks
from twisted_gantry.config.cabinets import read_cabinets
from twisted_gantry.config.interlocks import read_interlocks
from twisted_gantry.config.secrets import read_secret
from twisted_gantry.config.settings import (
    DeviceEntry,
    GantrySettings,
    HistorySettings,
    Settings,
    WebSettings,
)
from twisted_gantry.config.tables import ConfigError, Document, Problem, shown
from twisted_gantry.config.tables import Path as Place
from twisted_gantry.core.catalogue import Catalogue
from twisted_gantry.core.interfaces import (
    DeviceContext,
    ICallbackHost,
    IDevice,
    IDeviceKind,
    IUploader,
    WrongSetting,
)
from twisted_gantry.core.points import Points
from twisted_gantry.core.secret import Secret
from twisted_gantry.logs import LogSettings
from twisted_gantry.manhole.service import ManholeSettings
from twisted_gantry.recording.service import RecordSettings
from twisted_gantry.uplinks.etc.uplink import EtcSettings
from twisted_gantry.uplinks.fogslink.uplink import FogslinkSettings
from twisted_gantry.web.gate import needs_password
from twisted_gantry.web.monitor.endpoint import MonitorSettings
from twisted_gantry.web.remotecontrol.endpoint import RemoteControlSettings, wrong_settings
from twisted_gantry.wire.etc.envelope import TEST_AUTH
from twisted_gantry.wire.fogslink.messages import is_channel

DEVICE_KINDS = "twisted_gantry.devices"
"""The group of entry points in which kinds of device are found."""

# A device's name begins the names of its points and alarms, beside those of the uplinks.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_RESERVED = frozenset({"etc", "fogslink", "store", "history", "gantry", "interlock"})

_TABLES = frozenset(
    [
        "gantry",
        "device",
        "cabinet",
        "interlock",
        "uplink",
        "remotecontrol",
        "monitor",
        "web",
        "manhole",
        "log",
        "history",
        "record",
    ]
)
_TEST_CODE = (
    "is the code of the test period, for loopback alone; set the platform's code, or "
    "allow_test_auth = true in [uplink.etc]"
)
_S = TypeVar("_S", bound=msgspec.Struct)


@implementer(ICallbackHost)
class _NoCallbacks:
    """Takes every registration, and listens nowhere: for devices that are only tried."""

    def register(self, url: str, receiver: Callable[[bytes], bool]) -> Callable[[], None]:
        """Forget it."""
        return lambda: None


class _Reader:
    """Reads one document; what is wrong gathers there."""

    def __init__(self, document: Document, folder: Path) -> None:
        self.document, self.secret = document, partial(read_secret, folder)
        self._kinds: Mapping[str, EntryPoint] = {
            each.name: each for each in entry_points(group=DEVICE_KINDS)
        }
        # The devices that were tried, and their points.
        self._tried: dict[str, tuple[IDevice, Place]] = {}
        self._points = Points(Catalogue(), lambda: 0.0)

    def settings(self) -> Settings | None:
        """Read it all; None if anything is wrong."""
        document, root = self.document, self.document.root
        document.unknown(root, _TABLES, ())
        gantry = self._table(root, ("gantry",), GantrySettings)
        if gantry is not None:
            self._complain(("gantry", "timezone"), checks.wrong_zone(gantry.timezone))
        devices = self._devices()
        cabinets = read_cabinets(document, self.secret, devices)
        uplink = document.table(root, ("uplink",))
        document.unknown(uplink, {"etc", "fogslink"}, ("uplink",))
        etc = self._etc(uplink) if "etc" in uplink else None
        fogslink = self._fogslink(uplink, devices) if "fogslink" in uplink else None
        test_auth = etc is not None and etc.allow_test_auth
        remote = self._remotecontrol(etc, test_auth) if "remotecontrol" in root else None
        monitor = self._monitor(test_auth) if "monitor" in root else None
        self._check_uploads(taken="monitor" in root)
        tried = {name: self._tried.get(name, (None,))[0] for name in devices}
        interlocks = read_interlocks(
            document, self.secret, tried, lambda name: self._wrong_point(name, devices)
        )
        web = self._table(root, ("web",), WebSettings)
        if web is not None:
            self._complain(("web", "listen"), web.wrong_listen())
            for key, secret in web.secrets().items():
                self._complain(("web", key), wrong_secret(secret) if secret is not None else "")
        manhole = self._table(root, ("manhole",), ManholeSettings)
        if manhole is not None:
            self._complain(("manhole", "listen"), manhole.wrong_listen())
        listening = {
            name: table.listen
            for name, table in (
                ("remotecontrol", remote),
                ("monitor", monitor),
                ("web", web),
                ("manhole", manhole),
            )
            if table is not None
        }
        for name, wrong in checks.wrong_ports(listening):
            document.wrong((name, "listen"), wrong)
        log = self._table(root, ("log",), LogSettings)
        history = self._table(root, ("history",), HistorySettings)
        record = self._table(root, ("record",), RecordSettings)
        for name in record.devices if record is not None else ():
            known = "" if name in devices else f"there is no device {shown(name)}"
            self._complain(("record", "devices"), known)
        tables = (gantry, web, manhole, log, history, record)
        if document.problems or None in tables:
            return None
        assert gantry
        assert web
        assert manhole
        assert log
        assert history
        assert record
        return Settings(
            gantry,
            tuple(devices.values()),
            tuple(cabinets),
            etc,
            fogslink,
            remote,
            monitor,
            web,
            interlocks,
            manhole,
            log,
            history,
            record,
        )

    def _table(self, parent: Mapping[str, Any], path: tuple[str, ...], to: type[_S]) -> _S | None:
        return self.document.read(self.document.table(parent, path), to, path, self.secret)

    def _complain(self, path: Place, wrong: str) -> None:
        if wrong:
            self.document.wrong(path, wrong)

    # -- devices

    def _devices(self) -> dict[str, DeviceEntry]:
        entries: dict[str, DeviceEntry] = {}
        names: set[str] = set()
        for index, table in enumerate(self.document.tables("device")):
            path = ("device", index)
            name = self._name(table, path, names)
            kind = self._kind(table, path)
            if name is None or kind is None:
                continue
            settings = self.document.read(
                table, kind.settings, path, self.secret, frozenset({"name", "kind"})
            )
            entry = DeviceEntry(name, kind, settings if settings is not None else msgspec.Struct())
            entries[name] = entry  # also a wrong one: a reference to it is not a second mistake
            if settings is not None:
                self._try_build(entry, path)
        return entries

    def _name(self, table: dict[str, Any], path: tuple[str, int], names: set[str]) -> str | None:
        name = table.get("name")
        if name is None:
            self.document.wrong((*path, "name"), "is missing")
        elif not (isinstance(name, str) and _NAME.fullmatch(name)):
            self.document.wrong(
                (*path, "name"), f"letters, digits, _ and -, a letter first; it is {shown(name)}"
            )
        elif name in _RESERVED:
            self.document.wrong((*path, "name"), f"{name!r} is taken by the program itself")
        elif name in names:
            self.document.wrong((*path, "name"), f"a second device is named {name!r}")
        else:
            names.add(name)
            return name
        return None

    def _kind(self, table: dict[str, Any], path: tuple[str, int]) -> IDeviceKind | None:
        name = table.get("kind")
        if name is None:
            self.document.wrong((*path, "kind"), "is missing")
            return None
        if not isinstance(name, str) or name not in self._kinds:
            known = ", ".join(sorted(self._kinds))
            self.document.wrong((*path, "kind"), f"unknown kind {shown(name)}; there are: {known}")
            return None
        try:
            kind: IDeviceKind = self._kinds[name].load()
            if not IDeviceKind.providedBy(kind):
                raise TypeError("it is no kind of device")
        except Exception as error:
            self.document.wrong((*path, "kind"), f"the driver of {name!r} does not load: {error}")
            return None
        return kind

    def _try_build(self, entry: DeviceEntry, path: tuple[str, int]) -> None:
        """Build a device and throw it away: its driver knows more than the types of its keys."""

        def no_thread(*_: object) -> Deferred[Any]:
            return fail(RuntimeError("only tried"))

        nothing = cast("Any", None)  # it is never started
        context = DeviceContext(
            nothing,
            self._points,
            lambda: 0.0,
            Random(0),  # noqa: S311
            no_thread,
            nothing,
            _NoCallbacks(),
            "",
        )
        try:
            device = entry.kind.build(entry.name, entry.settings, context)
            self._tried[entry.name] = (device, path)
        except WrongSetting as error:
            self.document.wrong((*path, error.key), str(error))
        except Exception as error:  # a driver may be anybody's
            text = str(error) or type(error).__name__
            self.document.wrong(path, f"the driver cannot use it: {text}")

    def _check_uploads(self, *, taken: bool) -> None:
        """Check those that upload to us: where they do, and that they can be told apart."""
        seen: dict[tuple[str, str], str] = {}
        for name, (device, path) in self._tried.items():
            if not IUploader.providedBy(device):
                continue
            first = seen.setdefault(device.uploads_as, name)
            if not taken:
                self.document.wrong((*path, "kind"), "it uploads to [monitor], which is missing")
            elif first != name:
                text = f"{first!r} has the same gantry_id and cabinet_id"
                self.document.wrong((*path, "kind"), text)

    # -- uplinks and what listens

    def _etc(self, uplink: Mapping[str, Any]) -> EtcSettings | None:
        path = ("uplink", "etc")
        etc = self._table(uplink, path, EtcSettings)
        url = self.document.table(uplink, path).get("url")
        # Of the table itself: another mistake in it must not hide this one.
        wrong = checks.wrong_url(url) if isinstance(url, str) else ""
        self._complain((*path, "url"), wrong)
        if etc is not None and not wrong and not etc.allow_test_auth:
            abroad = checks.is_test_code_abroad(etc.auth, etc.url)
            self._complain((*path, "auth"), _TEST_CODE if abroad else "")
        if etc is not None:
            self._complain((*path, "auth"), checks.wrong_code(etc.auth))
        return etc

    def _fogslink(
        self, uplink: Mapping[str, Any], devices: Mapping[str, DeviceEntry]
    ) -> FogslinkSettings | None:
        path = ("uplink", "fogslink")
        fogslink = self._table(uplink, path, FogslinkSettings)
        if fogslink is None:
            return None
        self._complain((*path, "address"), checks.wrong_address(fogslink.address))
        for channel, point in fogslink.channels.items():
            place = (*path, "channels", channel)
            if not is_channel(channel):
                self.document.wrong(place, f"a channel is Px-Cy, such as P0-C1, not {channel!r}")
            self._complain(place, self._wrong_point(point, devices))
        return fogslink

    def _wrong_point(self, name: str, devices: Mapping[str, DeviceEntry]) -> str:
        """Check the name of a point; those of parts and rows are known at run time only."""
        device, _, rest = name.partition(".")
        if device not in devices:
            return f"there is no device {device!r}"
        kind = devices[device].kind
        first, _, more = rest.partition(".")
        if name in self._points.catalogue or (first in kind.groups and more):
            return ""
        if kind.parts and re.fullmatch(kind.parts, first) and more:
            known = getattr(kind, "part_points", None)
            if known is None or more in known(first):
                return ""
        return f"{device} has no point {rest!r}"

    def _remotecontrol(
        self, etc: EtcSettings | None, test_auth: bool
    ) -> RemoteControlSettings | None:
        path = ("remotecontrol",)
        remote = self._table(self.document.root, path, RemoteControlSettings)
        if remote is None:
            return None
        self._complain((*path, "listen"), checks.wrong_listen(remote.listen))
        for error in wrong_settings(remote):
            self.document.wrong((*path, error.key), str(error))
        if remote.auth is None and etc is not None:
            remote = replace(remote, auth=etc.auth)
        if remote.auth is None:
            if "etc" not in self.document.table(self.document.root, ("uplink",)):
                text = "is missing, and there is no [uplink.etc] either"
                self.document.wrong((*path, "auth"), text)
        else:
            self._check_code(path, remote.listen, remote.auth, test_auth)
        return remote

    def _monitor(self, test_auth: bool) -> MonitorSettings | None:
        path = ("monitor",)
        monitor = self._table(self.document.root, path, MonitorSettings)
        if monitor is not None:
            self._complain((*path, "listen"), checks.wrong_listen(monitor.listen))
            wrong = checks.wrong_clients(monitor.allowed_clients)
            self._complain((*path, "allowed_clients"), wrong)
            self._check_code(path, monitor.listen, monitor.auth, test_auth)
        return monitor

    def _check_code(self, path: Place, listen: str, auth: Secret, allowed: bool) -> None:
        abroad = auth == Secret(TEST_AUTH) and needs_password(listen) and not allowed
        self._complain((*path, "auth"), _TEST_CODE if abroad else checks.wrong_code(auth))


def load(text: str, source: str = "configuration", folder: Path = Path()) -> Settings:
    """Read a configuration; `folder` is where its relative secret files are. Raises ConfigError."""
    document = Document.parse(text, source)
    if document.problems:
        raise ConfigError(document.problems)
    settings = _Reader(document, folder).settings()
    if settings is None:
        raise ConfigError(document.problems)
    return settings


def load_file(path: Path) -> Settings:
    """Read a configuration file. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([Problem(str(path), None, "", f"{error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(path), None, "", "is not UTF-8")]) from None
    return load(text, str(path), path.parent)


def load_demo() -> Settings:
    """Read the configuration of `--demo`: the site that the twin simulates."""
    return load(files(__package__).joinpath("demo.toml").read_text("utf-8"), "demo")


def check_file(path: Path) -> list[Problem]:
    """Return what is wrong with a configuration file, nothing if it can be used."""
    try:
        load_file(path)
    except ConfigError as error:
        return error.problems
    return []
