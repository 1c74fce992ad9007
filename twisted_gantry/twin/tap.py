"""`twistd gantry-twin`: options to settings, settings to a service."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any, cast

from msgspec import structs
from twisted.application.service import IService
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from twisted_gantry.net.clock import make_monotonic
from twisted_gantry.net.endpoints import wrong_server
from twisted_gantry.net.listener import CannotListen
from twisted_gantry.net.pid_file import leave_out_pid_file
from twisted_gantry.net.record import BrokenRecording
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.net.text_files import read_text
from twisted_gantry.twin.dialects.registry import UnknownEndpoint, listed
from twisted_gantry.twin.fleet.group import build_group
from twisted_gantry.twin.fleet.service import raise_open_files
from twisted_gantry.twin.fleet.settings import FleetSettings
from twisted_gantry.twin.replay.player import build_replay
from twisted_gantry.twin.replay.tape import CannotReplay, Recorded, read_device
from twisted_gantry.twin.scenarios.runner import FASTEST
from twisted_gantry.twin.scenarios.script import UnknownScenario, load_scenario
from twisted_gantry.twin.service import TwinSettings, build_twin
from twisted_gantry.twin.world_file import read_world

_FLEET = FleetSettings(gantries=1)
_OF_FLEET = (
    *("platform", "cloud", "auth", "api-key"),
    *("report-period", "pack-period", "connections", "connect-rate"),
    *("worlds", "remotecontrol"),
)


class Options(UsageOptions):
    synopsis = (
        "[--world FILE] [--scenario NAME] [--speed N] [--seed N] [--any-gantry] "
        "[--control ENDPOINT] | --replay FILE | --fleet N"
    )
    longdesc = (
        "A simulated gantry site to test against: two UPS cards (TCP 2390, HTTP 2380), a cFos "
        "Power Brain (4700), a BMS behind an EMS API (4800), a smart cabinet (3700), the ETC "
        "platform (8088), the Fogslink cloud (63321) and, with the extra modbus, a Modbus gateway "
        "(4750), over one physical world that the control "
        "API (HTTP 8081) shows and changes. All listen on 127.0.0.1. With --fleet it is so many "
        "gantries instead, which load a platform and a cloud under test."
    )
    optParameters = [  # noqa: RUF012 - as Twisted has it
        [
            "world",
            None,
            None,
            "TOML file of variables, dialects, cabinets and relays to begin with",
        ],
        ["scenario", None, None, "name of a scenario that runs from the start"],
        ["speed", None, "1", f"simulated seconds a second, above 0, at most {FASTEST:g}"],
        ["seed", None, None, "whole number that makes noise and faults repeat"],
        ["control", None, None, f"endpoint of the control API ({TwinSettings().control})"],
        ["replay", None, None, "recording to play back instead, at --speed times its pace"],
        ["replay-device", None, None, "name of the device, if the recording has several"],
        ["replay-endpoint", None, None, "where to serve it, by default at the port of its kind"],
        ["fleet", None, None, "number of gantries, instead of a site, to load a platform"],
        ["platform", None, _FLEET.platform, "URL that the fleet uploads to; empty: none"],
        ["cloud", None, _FLEET.cloud, "client endpoint of the fleet's cloud; empty: none"],
        ["auth", None, _FLEET.auth, "binfile-auth of the fleet"],
        ["api-key", None, _FLEET.api_key, "apiKey of the fleet; {eqSN} stands for each one's own"],
        ["report-period", None, _FLEET.report_period, "seconds between a gantry's uploads", float],
        ["pack-period", None, _FLEET.pack_period, "seconds between its packs", float],
        ["connections", None, _FLEET.connections, "the most uploads at a time", int],
        ["connect-rate", None, _FLEET.connect_rate, "new sessions a second", float],
        ["worlds", None, _FLEET.worlds, "simulated worlds, which the gantries share", int],
        ["remotecontrol", None, "", "endpoint for commands to the fleet: /G…/remotecontrol.do"],
    ]

    optFlags = [  # noqa: RUF012 - as Twisted has it
        ["any-gantry", None, "platform and cloud know every gantry: a target for a fleet"],
        ["dialects", None, "list the dialects that a --world file may name, and exit · 列出方言"],
    ]

    settings: TwinSettings
    fleet: FleetSettings | None = None
    replay: Recorded | None = None
    replay_endpoint = ""

    def postOptions(self) -> None:
        """Check everything. Raises UsageError, which names the option."""
        if self.parent is not None:
            leave_out_pid_file(self.parent)
        if self["dialects"]:
            rows = (f"{e['peer']:9} {e['name']:21} {e['en']} · {e['zh']}\n" for e in listed())
            sys.stdout.writelines(rows)
            sys.exit(0)
        if self["fleet"] is not None:
            self.fleet = _fleet(self)
        self.settings = TwinSettings(
            control=_endpoint(self["control"] or TwinSettings().control, "--control"),
            speed=_speed(self["speed"]),
            scenario=_scenario(self["scenario"], self["speed"]),
            seed=_seed(self["seed"]),
            any_gantry=bool(self["any-gantry"]),
            **_world(self["world"]),
        )
        if self["replay-endpoint"]:
            self.replay_endpoint = _endpoint(self["replay-endpoint"], "--replay-endpoint")
        alone = [name for name in ("scenario", "replay", "fleet") if self[name] is not None]
        if len(alone) > 1:
            raise UsageError(" and ".join(f"--{name}" for name in alone) + " exclude each other")
        if self["replay"] is not None:
            self.replay = _recorded(self["replay"], self["replay-device"] or "")


@contextmanager
def _option(prefix: str, *errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        raise UsageError(f"{prefix}: {error}") from None


def _recorded(path: str, device: str) -> Recorded:
    with _option(f"--replay: {path}", OSError, BrokenRecording, CannotReplay):
        return read_device(Path(path), device)


def _fleet(options: Options) -> FleetSettings:
    with _option("--fleet", ValueError):  # a bad number, or a limit that is too low
        if not re.fullmatch(r"[0-9]{1,9}", options["fleet"]):
            raise ValueError(f"{options['fleet']!r} is no number of gantries")
        given = {name.replace("-", "_"): options[name] for name in _OF_FLEET}
        gantries, seed = int(options["fleet"]), _seed(options["seed"])
        settings = FleetSettings(gantries=gantries, seed=seed, **given)
        raise_open_files(settings)
        return settings


def _endpoint(text: str, option: str) -> str:
    if wrong := wrong_server(text, TwinSettings().control):
        raise UsageError(f"{option}: {wrong}")
    return text


def _speed(text: str) -> float:
    try:
        return TwinSettings(speed=float(text)).speed
    except ValueError:
        most = f"{FASTEST:g}"
        raise UsageError(f"--speed: {text!r} is no number above 0 and at most {most}") from None


def _scenario(name: str | None, speed: str) -> str:
    if name is None:
        return ""
    with _option("--scenario", UnknownScenario):
        fastest = load_scenario(name).fastest
    if float(speed) > fastest:
        raise UsageError(f"--scenario: {name} is made for --speed {fastest:g} at the most")
    return name


def _seed(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        raise UsageError(f"--seed: {text!r} is no whole number") from None


def _world(path: str | None) -> dict[str, Any]:
    """Return the settings of a twin that a file holds."""
    if path is None:
        return {}
    with _option(f"--world: {path}", OSError, ValueError, UnknownEndpoint):  # TOML: ValueErrors
        return structs.asdict(read_world(read_text(Path(path))))


class Program(ServiceGroup):
    """A twin that exits with one line if it cannot listen; twistd reports that of a `daemon`."""

    def __init__(self, twin: IService, *, daemon: bool) -> None:
        super().__init__()
        self.twin, self._daemon = twin, daemon
        self.add(twin)

    def privilegedStartService(self) -> None:
        self._start(super().privilegedStartService)

    def startService(self) -> None:
        self._start(super().startService)

    def _start(self, start: Callable[[], object]) -> None:
        try:
            start()
        except CannotListen as error:
            if self._daemon:
                raise
            sys.exit(f"gantry-twin: {error}")


def makeService(options: Options) -> IService:
    daemon = options.parent is not None and not options.parent["nodaemon"]
    return cast("IService", Program(_service(options), daemon=daemon))


def _service(options: Options) -> IService:
    from twisted.internet import reactor

    make_monotonic(reactor)
    if options.fleet is not None:
        group, _ = build_group(options.fleet, reactor, time, options["control"])
        return cast("IService", group)
    if options.replay is not None:
        settings, place = options.settings, options.replay_endpoint
        replay = build_replay(options.replay, reactor, time, place, settings.speed, settings)
        return cast("IService", replay)
    return cast("IService", build_twin(options.settings, reactor, time))
