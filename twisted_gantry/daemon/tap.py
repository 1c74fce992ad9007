"""`twistd gantry`: options to settings, settings to a service."""

from functools import cached_property
from pathlib import Path

from twisted.python.usage import Options as BaseOptions
from twisted.python.usage import UsageError

from twisted_gantry.config.load import load_demo, load_file
from twisted_gantry.config.settings import Settings
from twisted_gantry.daemon.service import Gantry
from twisted_gantry.net.clock import make_monotonic
from twisted_gantry.net.systemd import HardExit
from twisted_gantry.settings.options import read_or_exit
from twisted_gantry.settings.tables import Problem


class Options(BaseOptions):
    """`twistd gantry`: a gantry from a configuration file, or a demonstration."""

    longdesc = (
        "The monitoring daemon of an ETC toll gantry: reads its devices, raises alarms, reports to "
        "the platform. Give --config FILE, or --demo for a simulated site on loopback."
    )
    optParameters = [  # noqa: RUF012 - twisted's way
        ["config", "c", None, "The configuration file (TOML)"],
        ["data", "d", "gantry-data", "The folder for what must outlive the process"],
        [
            "web",
            "w",
            None,
            "Where to serve the local API and page, an endpoint; wins over the file",
        ],
        ["manhole", "m", None, "Where to open a Python prompt, an endpoint; wins over the file"],
    ]
    optFlags = [  # noqa: RUF012
        ["demo", None, "A whole gantry against a simulated site, on loopback"],
        ["check", None, "Only validate: print what is wrong, exit 0 or 1"],
    ]

    settings: Settings

    def postOptions(self) -> None:
        if bool(self["config"]) == bool(self["demo"]):
            raise UsageError("give one of --config FILE and --demo")
        self.settings = read_or_exit(self, self.read)

    def read(
        self, later: list[Problem] | None = None, warnings: list[Problem] | None = None
    ) -> Settings:
        """Read the configuration; the command line wins over it. `later` and `warnings` are those
        of `load`. Raises ConfigError.
        """
        # twistd changes the directory when it becomes a daemon: the path is made absolute once.
        settings = load_demo() if self["demo"] else load_file(self._config, later, warnings)
        if self["web"]:
            settings = settings.listening_on(self["web"])
        if self["manhole"]:
            settings = settings.with_manhole(self["manhole"])
        return settings

    @cached_property
    def _config(self) -> Path:
        return Path(self["config"]).absolute()


def makeService(options: Options) -> Gantry:
    from twisted.internet import reactor  # only here and in twin.tap

    make_monotonic(reactor)
    folder = Path(options["data"]).absolute()
    daemon = options.parent is not None and not options.parent["nodaemon"]
    demo = bool(options["demo"])
    if options.parent is not None:  # under twistd, whose process this is
        reactor.addSystemEventTrigger("before", "shutdown", HardExit().arm)
    return Gantry(options.settings, folder, reactor, demo=demo, daemon=daemon, read=options.read)
