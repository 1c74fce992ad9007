"""`twistd gantry-centre`: options to settings, settings to a service."""

from pathlib import Path
from typing import cast

from twisted.python.usage import Options as BaseOptions
from twisted.python.usage import UsageError

from twisted_gantry.centre.service import Centre
from twisted_gantry.centre.settings import ROLES, SQLITE, Role, Settings, load_demo, load_file
from twisted_gantry.net.clock import make_monotonic
from twisted_gantry.net.lean_loop import make_lean
from twisted_gantry.net.systemd import HardExit
from twisted_gantry.settings.options import read_or_exit
from twisted_gantry.settings.tables import Problem

PATIENCE = 20.0  # seconds in which reports that wait are committed before the process ends


class Options(BaseOptions):
    """`twistd gantry-centre`: a centre from a configuration file, or a demonstration."""

    longdesc = (
        "The platform for many toll gantries: takes their uploads and their Fogslink sessions, "
        "keeps them in PostgreSQL or SQLite, shows a province on one page. Give --config FILE, or "
        "--demo for 200 simulated gantries on loopback."
    )
    optParameters = [  # noqa: RUF012 - twisted's way
        ["config", "c", None, "The configuration file (TOML)"],
        ["data", "d", "centre-data", "The folder for SQLite, the key and the lock"],
        ["store", "s", None, "sqlite, or postgresql://USER@HOST/DATABASE; wins over the file"],
        ["web", "w", None, "Where to serve the API and the page, an endpoint; wins over the file"],
        ["monitor", "m", None, "Where to serve monitor.do, an endpoint; wins over the file"],
        ["cloud", None, None, "Where Fogslink devices connect, an endpoint; wins over the file"],
        ["role", "r", "all", "all; front: takes uploads; worker: all else"],
    ]
    optFlags = [  # noqa: RUF012
        ["demo", None, "A centre with 200 simulated gantries, on loopback"],
        ["check", None, "Only validate: print what is wrong, exit 0 or 1"],
    ]

    settings: Settings

    def postOptions(self) -> None:
        if self["config"] and self["demo"]:
            raise UsageError("give one of --config FILE and --demo")
        if self["role"] not in ROLES:
            raise UsageError(f"--role is one of {', '.join(ROLES)}; it is {self['role']!r}")
        self.settings = read_or_exit(self, self._read_for_role)

    @property
    def role(self) -> Role:
        return cast("Role", self["role"])

    def _read_for_role(self, later: list[Problem] | None, warnings: list[Problem]) -> Settings:
        settings = self.read(later, warnings)
        if settings.store.is_sqlite and self.role != "all":
            raise UsageError(
                f"--role {self.role} needs PostgreSQL, which several processes share; {SQLITE} is "
                "for --role all"
            )
        return settings

    def read(
        self, later: list[Problem] | None = None, warnings: list[Problem] | None = None
    ) -> Settings:
        """Read the configuration; the command line wins over it. `later` and `warnings` are those
        of `load`. Raises ConfigError.
        """
        if self["demo"]:
            settings = load_demo()
        else:
            path = Path(self["config"]).absolute() if self["config"] else None
            settings = load_file(path, later, warnings)
        given = {name: self[name] for name in ("store", "web", "monitor", "cloud") if self[name]}
        return settings.with_options(given)


def makeService(options: Options) -> Centre:
    from twisted.internet import reactor  # only in the wiring

    make_monotonic(reactor)
    make_lean(reactor)
    folder = Path(options["data"]).absolute()
    daemon = options.parent is not None and not options.parent["nodaemon"]
    if options.parent is not None:  # under twistd, whose process this is
        reactor.addSystemEventTrigger("before", "shutdown", HardExit(PATIENCE).arm)
    demo = bool(options["demo"])
    return Centre(
        options.settings, options.role, folder, reactor, demo=demo, daemon=daemon, read=options.read
    )
