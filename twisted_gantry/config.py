"""The configuration: TOML, checked whole, into settings. Shapes: DESIGN.md, "Configuration"."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import serverFromString
from zope.interface import implementer

from twisted_gantry.config_tables import Document, Problem, shown
from twisted_gantry.site.catalogue import Catalogue
from twisted_gantry.site.interfaces import (
    DeviceContext,
    ICallbackHost,
    IDeviceKind,
    WrongSetting,
)
from twisted_gantry.site.points import Points
from twisted_gantry.site.secret import Secret
from twisted_gantry.site.site import Cabinet
from twisted_gantry.uplinks.etc import EtcSettings
from twisted_gantry.web.access import needs_password
from twisted_gantry.wire.etc import TEST_AUTH

DEVICE_KINDS = "twisted_gantry.devices"
"""The group of entry points in which kinds of device are found."""

GROUPS = (
    "elec",
    "rectifier",
    "ups",
    "air_conditioners",
    "thermohygrometer",
    "waterlogging_sensor",
    "doors",
    "smoke_sensor",
    "thunder_spd",
)
"""The groups of a `[[cabinet]]`."""

# A device's name begins the names of its points and alarms, beside those of the uplinks.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_RESERVED = frozenset({"etc", "fogslink", "store", "gantry"})

_SHAPE_OF_SECRETS = 'must be a text, { env = "NAME" } or { file = "PATH" }'


class ConfigError(Exception):
    """A configuration that cannot be used; `problems` says why, all of it."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.line or 0)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class GantrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[gantry]`: its number in the network, a name for people, the zone of its times."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=20)]
    name: str = ""
    timezone: str = "Asia/Shanghai"


class WebSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[web]`: where the local API and the status page are served."""

    listen: str = "tcp:8080:interface=127.0.0.1"
    password: Secret | None = None
    token: Secret | None = None


Sources = str | list[str]


class CabinetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[[cabinet]]`: which devices each group of its report comes from."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=20)]
    elec: Sources = []
    rectifier: Sources = []
    ups: Sources = []
    air_conditioners: Sources = []
    thermohygrometer: Sources = []
    waterlogging_sensor: Sources = []
    doors: Sources = []
    smoke_sensor: Sources = []
    thunder_spd: Sources = []
    ups_meaning: Literal["battery", "ac"] = "battery"


@dataclass(frozen=True)
class DeviceEntry:
    """One `[[device]]`, its keys read by its kind."""

    name: str
    kind: IDeviceKind
    settings: msgspec.Struct


@dataclass(frozen=True)
class Settings:
    """A configuration without mistakes."""

    gantry: GantrySettings
    devices: tuple[DeviceEntry, ...]
    cabinets: tuple[Cabinet, ...]
    etc: EtcSettings | None
    web: WebSettings

    def listening_on(self, endpoint: str) -> "Settings":
        """Return these settings with another `[web] listen`. Raises ConfigError."""
        web = msgspec.structs.replace(self.web, listen=endpoint)
        problem = _wrong_listen(web)
        if problem:
            raise ConfigError([Problem("--web", None, "", problem)])
        return replace(self, web=web)


@implementer(ICallbackHost)
class _NoCallbacks:
    """Takes every registration, and listens nowhere: for devices that are only tried."""

    def register(self, url: str, receiver: Callable[[bytes], bool]) -> None:
        """Forget it."""


class _Reader:
    """Reads one document; what is wrong gathers there."""

    def __init__(self, document: Document, folder: Path) -> None:
        self.document, self._folder = document, folder
        self._kinds: Mapping[str, EntryPoint] = {
            each.name: each for each in entry_points(group=DEVICE_KINDS)
        }

    def secret(self, value: Any) -> Secret:
        """Return what a secret key holds. Raises ValueError, which never shows it."""
        if isinstance(value, str) and value:
            return Secret(value)
        if not (isinstance(value, dict) and len(value) == 1):
            raise ValueError(_SHAPE_OF_SECRETS)
        [(source, name)] = value.items()
        if source not in {"env", "file"} or not isinstance(name, str):
            raise ValueError(_SHAPE_OF_SECRETS)
        if source == "env":
            text = os.environ.get(name, "")
            if not text:
                raise ValueError(f"the environment has no {name}")
            return Secret(text)
        path = self._folder / name
        try:
            text = path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise ValueError(f"the file {path} cannot be read: {reason}") from None
        if not text:
            raise ValueError(f"the file {path} is empty")
        return Secret(text)

    def settings(self) -> Settings | None:
        """Read it all; None if anything is wrong."""
        document, root = self.document, self.document.root
        document.unknown(root, {"gantry", "device", "cabinet", "uplink", "web"}, ())
        gantry = document.read(
            document.table(root, ("gantry",)), GantrySettings, ("gantry",), self.secret
        )
        if gantry is not None and not _is_zone(gantry.timezone):
            document.wrong(("gantry", "timezone"), f"no such time zone: {gantry.timezone!r}")
        devices = self._devices()
        cabinets = self._cabinets(devices)
        uplink = document.table(root, ("uplink",))
        document.unknown(uplink, {"etc"}, ("uplink",))
        etc = self._etc(uplink)
        web = document.read(document.table(root, ("web",)), WebSettings, ("web",), self.secret)
        if web is not None and (wrong := _wrong_listen(web)):
            document.wrong(("web", "listen"), wrong)
        if document.problems or gantry is None or web is None:
            return None
        return Settings(gantry, tuple(devices.values()), tuple(cabinets), etc, web)

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

        points = Points(Catalogue(), lambda: 0.0)
        nothing = cast("Any", None)  # it is never started
        context = DeviceContext(
            nothing,
            points,
            lambda: 0.0,
            Random(0),  # noqa: S311
            no_thread,
            nothing,
            _NoCallbacks(),
            "",
        )
        try:
            entry.kind.build(entry.name, entry.settings, context)
        except WrongSetting as error:
            self.document.wrong((*path, error.key), str(error))
        except Exception as error:  # a driver may be anybody's
            text = str(error) or type(error).__name__
            self.document.wrong(path, f"the driver cannot use it: {text}")

    # -- cabinets and uplinks

    def _cabinets(self, devices: Mapping[str, DeviceEntry]) -> list[Cabinet]:
        cabinets: list[Cabinet] = []
        for index, table in enumerate(self.document.tables("cabinet")):
            path = ("cabinet", index)
            settings = self.document.read(table, CabinetSettings, path, self.secret)
            sources: dict[str, tuple[str, ...]] = {}
            for group in GROUPS:
                # Of the table itself: another mistake in it must not hide these.
                given = table.get(group, [])
                names = tuple(given) if isinstance(given, list) else (given,)
                if names:
                    sources[group] = names
                texts = [name for name in names if isinstance(name, str)]
                if len(set(texts)) < len(texts):
                    self.document.wrong((*path, group), "a source is named twice")
                for name in texts:
                    self._check_source(name, group, devices, (*path, group))
            if settings is None:
                continue
            if any(each.id == settings.id for each in cabinets):
                self.document.wrong((*path, "id"), f"a second cabinet has the id {settings.id!r}")
            cabinets.append(Cabinet(settings.id, sources, settings.ups_meaning))
        return cabinets

    def _check_source(
        self, name: str, group: str, devices: Mapping[str, DeviceEntry], path: tuple[str | int, ...]
    ) -> None:
        if name not in devices:
            self.document.wrong(path, f"there is no device {name!r}")
        elif group not in devices[name].kind.groups:
            kind = devices[name].kind.kind
            self.document.wrong(path, f"{name!r} ({kind}) cannot be the source of {group}")

    def _etc(self, uplink: Mapping[str, Any]) -> EtcSettings | None:
        path = ("uplink", "etc")
        if "etc" not in uplink:
            return None
        table = self.document.table(uplink, path)
        etc = self.document.read(table, EtcSettings, path, self.secret)
        url = table.get("url")
        # Of the table itself: another mistake in it must not hide this one.
        wrong = _wrong_url(url) if isinstance(url, str) else ""
        if wrong:
            self.document.wrong((*path, "url"), wrong)
        elif etc is not None and _is_test_code_abroad(etc):
            self.document.wrong(
                (*path, "auth"),
                "is the code of the test period, for loopback alone; set the platform's code, "
                "or allow_test_auth = true",
            )
        return etc


def _is_test_code_abroad(etc: EtcSettings) -> bool:
    host = urlsplit(etc.url).hostname or ""
    return etc.auth == Secret(TEST_AUTH) and not (etc.allow_test_auth or _loopback(host))


def _wrong_url(text: str) -> str:
    try:
        url = urlsplit(text)
        usable = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    except ValueError:
        url, usable = urlsplit(""), False
    if url.username or url.password or ("@" in text and not usable):
        return "must not hold a user or a password"
    return "" if usable else f"must be http(s)://host/…; it is {text!r}"


def _wrong_listen(web: WebSettings) -> str:
    try:
        serverFromString(None, web.listen)
    except Exception as error:  # endpoints are plugins, and fail in many ways
        return f"no server endpoint such as tcp:8080:interface=127.0.0.1: {error}"
    if needs_password(web.listen) and web.password is None and web.token is None:
        return (
            f"{web.listen} can be reached from other machines: that needs [web] password or token, "
            "or interface=127.0.0.1"
        )
    return ""


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        return False
    return True


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


def check_file(path: Path) -> list[Problem]:
    """Return what is wrong with a configuration file, nothing if it can be used."""
    try:
        load_file(path)
    except ConfigError as error:
        return error.problems
    return []
