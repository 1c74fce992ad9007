"""The configuration: TOML, checked whole, into settings. Keys: `docs/configuration.md`."""

from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from twisted_gantry.access.gate import needs_password
from twisted_gantry.config.bridges import Bridges
from twisted_gantry.config.cabinets import read_cabinets
from twisted_gantry.config.devices import Devices
from twisted_gantry.config.interlocks import read_interlocks
from twisted_gantry.config.own_rules import read_own_rules
from twisted_gantry.config.settings import GantrySettings, HistorySettings, Settings
from twisted_gantry.config.uplinks import TEST_CODE, Uplinks
from twisted_gantry.core.flapping import AlarmSettings
from twisted_gantry.logs import LogSettings
from twisted_gantry.manhole.service import ManholeSettings
from twisted_gantry.net.pem import Pem, TlsSettings
from twisted_gantry.recording.service import RecordSettings
from twisted_gantry.settings import checks
from twisted_gantry.settings.listen import server_tls
from twisted_gantry.settings.notify import read_notify
from twisted_gantry.settings.sources import read_secret
from twisted_gantry.settings.tables import (
    NO_CHECKS,
    Checks,
    ConfigError,
    Document,
    Problem,
    read_settings,
    read_toml,
    shown,
)
from twisted_gantry.settings.tables import Path as Place
from twisted_gantry.settings.tls import (
    read_pem,
    with_tls,
    wrong_ca,
    wrong_fingerprints,
)
from twisted_gantry.settings.users import read_web
from twisted_gantry.web.monitor.endpoint import MonitorSettings
from twisted_gantry.web.remotecontrol.endpoint import RemoteControlSettings, wrong_servers
from twisted_gantry.wire.etc.envelope import TEST_AUTH
from twisted_gantry.wire.secret import Secret

_SITE = (
    *("gantry", "device", "cabinet", "interlock", "alarm", "alarms"),
    *("log", "history", "record", "tls", "notify"),
)
_ENDPOINTS = ("uplink", "bridge", "remotecontrol", "monitor", "web", "manhole")
_ENTRY_CHECKS: Checks = {
    "listen": checks.wrong_listen,
    "allowed_clients": checks.wrong_clients,
    "auth": checks.wrong_code,
    "client_ca": wrong_ca,
    "allowed_certificates": wrong_fingerprints,
}
_S = TypeVar("_S", bound=msgspec.Struct)


class _Reader:
    def __init__(self, document: Document, folder: Path) -> None:
        self.document, self.secret, self.folder = document, partial(read_secret, folder), folder
        document.readers[Pem] = partial(read_pem, folder)

    def settings(self) -> Settings | None:
        """Read all tables; None if anything is wrong."""
        document, root = self.document, self.document.root
        document.unknown(root, {*_SITE, *_ENDPOINTS}, ())
        gantry_checks = {"timezone": checks.wrong_zone}
        gantry = self._table(root, ("gantry",), GantrySettings, gantry_checks)
        tls = self._table(root, ("tls",), TlsSettings)
        self.tls = with_tls(document, ("tls",), tls or TlsSettings(), TlsSettings())
        devices = Devices(document, self.secret, self.tls)
        cabinets = read_cabinets(document, self.secret, devices.entries)
        uplinks = Uplinks(document, self.secret, self.tls, devices)
        etc, fogslink = uplinks.etc, uplinks.fogslink
        remote = self._remotecontrol(uplinks) if "remotecontrol" in root else None
        monitor = self._monitor(uplinks.test_auth) if "monitor" in root else None
        bridges = Bridges(document, self.secret, self.tls, self.folder, devices).read()
        devices.check_uploads(monitor="monitor" in root)
        devices.check_claims()
        devices.check_feeders()
        interlocks = read_interlocks(document, self.secret, devices)
        own_rules = read_own_rules(document, self.secret, devices, cabinets)
        notify = read_notify(document, self.secret, self.tls)
        web = read_web(document, self.folder, self.secret)
        manhole = self._table(root, ("manhole",), ManholeSettings)
        if manhole is not None:
            self._complain(("manhole", "listen"), manhole.wrong_listen())
        tables = {"remotecontrol": remote, "monitor": monitor, "web": web, "manhole": manhole}
        listening = {name: each.listen for name, each in tables.items() if each is not None}
        of_bridges = bridges.listening()
        for name, wrong in checks.wrong_ports(listening | of_bridges):
            document.wrong((*name.split("."), "listen"), wrong)
        served = {name: each for name, each in listening.items() if name != "manhole"}
        tls_of = {name: server_tls(document, name, tables[name], self.folder) for name in served}
        log = self._table(root, ("log",), LogSettings)
        history = self._table(root, ("history",), HistorySettings)
        record = self._table(root, ("record",), RecordSettings)
        alarms = self._table(root, ("alarms",), AlarmSettings)
        for name in record.devices if record is not None else ():
            known = "" if name in devices.entries else f"there is no device {shown(name)}"
            self._complain(("record", "devices"), known)
        if document.problems or not (
            gantry and web and manhole and log and history and record and alarms
        ):
            return None
        entries, ends = tuple(devices.entries.values()), (etc, fogslink, remote, monitor, web)
        rest = (interlocks, manhole, log, history, record)
        more = (self.tls, tls_of, bridges, own_rules, alarms)
        return Settings(gantry, entries, tuple(cabinets), *ends, *rest, *more, notify=notify)

    def _table(
        self,
        parent: Mapping[str, Any],
        path: tuple[str, ...],
        to: type[_S],
        checks: Checks = NO_CHECKS,
    ) -> _S | None:
        table = self.document.table(parent, path)
        return self.document.read(table, to, path, self.secret, checks=checks)

    def _complain(self, path: Place, wrong: str) -> None:
        if wrong:
            self.document.wrong(path, wrong)

    def _remotecontrol(self, uplinks: Uplinks) -> RemoteControlSettings | None:
        path = ("remotecontrol",)
        each = {**_ENTRY_CHECKS, "allowed_servers": wrong_servers}
        remote = self._table(self.document.root, path, RemoteControlSettings, each)
        if remote is None:
            return None
        if "auth" in self.document.root["remotecontrol"] and remote.auth is None:
            return None  # it is wrong, and not missing
        if remote.images:
            remote = replace(remote, images=str(self.folder / remote.images))
        commanders = [etc for etc in uplinks.etc if etc.commands]
        if remote.auth is None and commanders:
            remote = replace(remote, auth=commanders[0].auth)
        if remote.auth is None:
            if not uplinks.wants_etc or (uplinks.etc and not commanders):
                no = "no platform may command" if uplinks.etc else "there is no [uplink.etc] either"
                self.document.wrong((*path, "auth"), f"is missing, and {no}")
            return remote
        self._check_code(path, remote.listen, remote.auth, uplinks.test_auth)
        for other in commanders[1:]:
            same = f"the commands of {other.name!r} have the same code"
            self._complain((*path, "auth"), same if other.auth == remote.auth else "")
        return remote

    def _monitor(self, test_auth: bool) -> MonitorSettings | None:
        path = ("monitor",)
        monitor = self._table(self.document.root, path, MonitorSettings, _ENTRY_CHECKS)
        if monitor is not None:
            self._check_code(path, monitor.listen, monitor.auth, test_auth)
        return monitor

    def _check_code(self, path: Place, listen: str, auth: Secret, allowed: bool) -> None:
        abroad = auth == Secret(TEST_AUTH) and needs_password(listen) and not allowed
        self._complain((*path, "auth"), TEST_CODE if abroad else "")


def load(
    text: str,
    source: str = "configuration",
    folder: Path = Path(),
    later: list[Problem] | None = None,
    warnings: list[Problem] | None = None,
) -> Settings:
    """Read a configuration; files are relative to `folder`. `later`, which is only to check, gains
    the files that systemd makes when the service starts; `warnings` what may not be meant.
    Raises ConfigError.
    """
    return read_settings(
        text, source, lambda document: _Reader(document, folder).settings(), later, warnings
    )


def load_file(
    path: Path, later: list[Problem] | None = None, warnings: list[Problem] | None = None
) -> Settings:
    """Read a configuration file; `later` and `warnings` are those of `load`. Raises ConfigError."""
    text = read_toml(path)
    return load(text, str(path), path.parent, later, warnings)


def load_demo() -> Settings:
    """Read the configuration of `--demo`, the site that the twin simulates."""
    return load(files(__package__).joinpath("demo.toml").read_text("utf-8"), "demo")


def check_file(
    path: Path, later: list[Problem] | None = None, warnings: list[Problem] | None = None
) -> list[Problem]:
    """Return what is wrong with a configuration file; the others are those of `load`."""
    try:
        load_file(path, later, warnings)
    except ConfigError as error:
        return error.problems
    return []
