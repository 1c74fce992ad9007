"""The configuration of the centre: TOML, checked whole, into settings. Keys: `docs/centre.md`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from twisted_gantry.logs import LogSettings
from twisted_gantry.net.pem import Pem, TlsSettings
from twisted_gantry.net.tls_server import ServerTls
from twisted_gantry.settings import checks
from twisted_gantry.settings.listen import moved, option_tls, server_tls
from twisted_gantry.settings.notify import NotifyEntry, read_notify
from twisted_gantry.settings.sources import path_of, read_secret, secrets_in
from twisted_gantry.settings.tables import (
    NO_CHECKS,
    Checks,
    ConfigError,
    Document,
    Problem,
    read_settings,
    read_toml,
)
from twisted_gantry.settings.tls import (
    read_pem,
    with_tls,
    wrong_ca,
    wrong_fingerprints,
)
from twisted_gantry.settings.users import read_web
from twisted_gantry.settings.web import WebSettings
from twisted_gantry.wire.secret import Secret

Role = Literal["all", "front", "worker"]
ROLES: tuple[Role, ...] = ("all", "front", "worker")
SQLITE = "sqlite"
WEB, MONITOR, CLOUD = "tcp:8090:interface=127.0.0.1", "tcp:8098", "tcp:63321"
"""Where the centre listens without a configuration."""
_POSTGRES = frozenset({"postgresql", "postgres"})
_S = TypeVar("_S", bound=msgspec.Struct)


class CentreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[centre]`: the name of the centre and its time zone."""

    name: str = ""
    timezone: str = "Asia/Shanghai"


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[store]`: `url` is `sqlite` or `postgresql://…`; raw reports are kept `retention_days`.

    `queue` is how many reports may wait for their commit. `key` is the file of the key that seals
    codes, made at the first start. `max_size` is how large a PostgreSQL database may grow, in GiB;
    0: no bound.
    """

    url: Secret = Secret(SQLITE)
    retention_days: Annotated[int, Meta(ge=1, le=3650)] = 90
    queue: Annotated[int, Meta(ge=500, le=1_000_000)] = 20_000
    key: str = ""
    max_size: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0

    @property
    def is_sqlite(self) -> bool:
        return self.url.reveal() == SQLITE


class FrontSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What both fronts have: a server endpoint, and whose certificates an `ssl:` one asks for."""

    listen: str
    allowed_clients: list[str] = []
    client_ca: Pem | None = None
    allowed_certificates: list[str] = []

    def wrong_listen(self) -> str:
        return checks.wrong_listen(self.listen)


class MonitorSettings(FrontSettings, frozen=True, kw_only=True):
    """`[monitor]`: a `timeStamp` may be `max_clock_skew` seconds ahead. `proxies` are the networks
    of proxies whose headers name the client.
    """

    listen: str = MONITOR
    max_clock_skew: Annotated[float, Meta(ge=0, le=31_536_000)] = 300.0
    unknown_gantries: Literal["refuse", "register"] = "refuse"
    proxies: list[str] = []


class CloudSettings(FrontSettings, frozen=True, kw_only=True):
    """`[cloud]`: where Fogslink devices connect."""

    listen: str = CLOUD


@dataclass(frozen=True)
class Settings:
    """A configuration without mistakes. `server_tls` is that of each listener with `ssl:`, by the
    name of its table. `key` is the file of the sealing key.
    """

    centre: CentreSettings
    store: StoreSettings
    monitor: MonitorSettings
    cloud: CloudSettings
    web: WebSettings
    tls: TlsSettings
    log: LogSettings
    server_tls: dict[str, ServerTls | None] = field(default_factory=dict)
    notify: tuple[NotifyEntry, ...] = ()
    web_given: bool = False
    """Whether `[web]` or the command line says where the web listens."""

    def with_options(self, given: Mapping[str, str]) -> "Settings":
        """Return these settings with the endpoints and the store of the command line, by the names
        of the options. Raises ConfigError.
        """
        changed: dict[str, Any] = {}
        tls = dict(self.server_tls)
        if store := given.get("store"):
            url = Secret(store)
            if wrong := wrong_store(url):
                raise ConfigError([Problem("--store", None, "", wrong)])
            changed["store"] = msgspec.structs.replace(self.store, url=url)
        for name in ("web", "monitor", "cloud"):
            if endpoint := given.get(name):
                changed[name] = moved(getattr(self, name), endpoint, f"--{name}")
                tls[name] = option_tls(endpoint, f"--{name}")
        given_web = self.web_given or "web" in given
        return replace(self, **changed, server_tls=tls, web_given=given_web)

    def secrets(self) -> list[str]:
        """Return all secrets, for the masks of the log."""
        password = urlsplit(self.store.url.reveal()).password
        found = [*secrets_in(self), *([password] if password else [])]
        return [each for each in found if each != SQLITE]  # a word of the log


def wrong_store(url: Secret) -> str:
    """Return what is wrong with the URL of a store; the text shows no password."""
    text = url.reveal()
    if text == SQLITE:
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in _POSTGRES or not (parts.netloc or parts.query):
        return "must be sqlite, or postgresql://USER@HOST/DATABASE"
    return "" if len(parts.path) > 1 else "names no database: postgresql://USER@HOST/DATABASE"


_FRONT_CHECKS: Checks = {
    "listen": checks.wrong_listen,
    "allowed_clients": checks.wrong_clients,
    "client_ca": wrong_ca,
    "allowed_certificates": wrong_fingerprints,
    "proxies": checks.wrong_clients,
}


class _Reader:
    def __init__(self, document: Document, folder: Path) -> None:
        self.document, self.folder = document, folder
        self.secret: Callable[[Any], Secret] = partial(read_secret, folder)
        document.readers[Pem] = partial(read_pem, folder)

    def settings(self) -> Settings | None:
        """Read all tables; None if anything is wrong."""
        document, root = self.document, self.document.root
        tables = {"centre", "store", "monitor", "cloud", "web", "notify", "log", "tls"}
        document.unknown(root, tables, ())
        centre = self._table("centre", CentreSettings, {"timezone": checks.wrong_zone})
        tls = self._table("tls", TlsSettings)
        tls = with_tls(document, ("tls",), tls or TlsSettings(), TlsSettings())
        store = self._table("store", StoreSettings, {"url": wrong_store})
        monitor = self._table("monitor", MonitorSettings, _FRONT_CHECKS)
        cloud = self._table("cloud", CloudSettings, _FRONT_CHECKS)
        given = isinstance(table := root.get("web", {}), dict) and "listen" in table
        if isinstance(table, dict):
            root["web"] = {"listen": WEB, **table}
        web = read_web(document, self.folder, self.secret, roads=True)
        log = self._table("log", LogSettings)
        notify = read_notify(document, self.secret, tls)
        listeners = {"monitor": monitor, "cloud": cloud, "web": web}
        listening = {name: each.listen for name, each in listeners.items() if each is not None}
        for name, wrong in checks.wrong_ports(listening):
            document.wrong((name, "listen"), wrong)
        tls_of = {
            name: server_tls(document, name, each, self.folder)
            for name, each in listeners.items()
            if each is not None
        }
        if document.problems or not (centre and store and monitor and cloud and web and log):
            return None
        if store.key:
            store = msgspec.structs.replace(
                store, key=str(path_of(self.folder, store.key).absolute())
            )
        rest = (tls, log, tls_of, notify, given)
        return Settings(centre, store, monitor, cloud, web, *rest)

    def _table(self, name: str, to: type[_S], checks: Checks = NO_CHECKS) -> _S | None:
        table = self.document.table(self.document.root, (name,))
        return self.document.read(table, to, (name,), self.secret, checks=checks)


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
    path: Path | None,
    later: list[Problem] | None = None,
    warnings: list[Problem] | None = None,
) -> Settings:
    """Read a configuration file, or the defaults without one; the others are those of `load`.
    Raises ConfigError.
    """
    if path is None:
        return load("", later=later, warnings=warnings)
    return load(read_toml(path), str(path), path.parent, later, warnings)


def load_demo() -> Settings:
    """Read the configuration of `--demo`."""
    return load(files(__package__).joinpath("demo.toml").read_text("utf-8"), "demo")
