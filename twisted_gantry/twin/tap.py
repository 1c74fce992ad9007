"""`twistd gantry-twin`: options to settings, settings to a service."""

import random
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import time
from typing import Any, cast

from twisted.application.service import IService
from twisted.internet.endpoints import serverFromString
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from twisted_gantry.net.clock import make_monotonic
from twisted_gantry.twin.twin import FASTEST, TwinSettings, build_twin
from twisted_gantry.twin.world.world import World


class Options(UsageOptions):
    """What `twistd gantry-twin` takes."""

    synopsis = "[--world FILE] [--speed N] [--seed N] [--control ENDPOINT]"
    longdesc = (
        "A simulated gantry site to test against: the management card of a UPS (TCP 2390) and the "
        "ETC platform (HTTP 8088), over one physical world that the control API (HTTP 8081) shows "
        "and changes. All listen on 127.0.0.1."
    )
    optParameters = [  # noqa: RUF012 - as Twisted has it
        ["world", None, None, "TOML file of variables to begin with, e.g. mains.voltage = 0"],
        ["speed", None, "1", f"simulated seconds a second, above 0, at most {FASTEST:g}"],
        ["seed", None, None, "whole number that makes noise and faults repeat"],
        ["control", None, TwinSettings().control, "endpoint of the control API"],
    ]

    settings: TwinSettings

    def postOptions(self) -> None:
        """Check everything. Raises UsageError, which names the option."""
        self.settings = TwinSettings(
            control=_endpoint(self["control"]),
            world=_world(self["world"]),
            speed=_speed(self["speed"]),
            seed=_seed(self["seed"]),
        )


def _endpoint(text: str) -> str:
    unused: Any = None  # an endpoint needs its reactor to listen, not to be read
    try:
        serverFromString(unused, text)
    except (ValueError, TypeError, OSError) as error:
        raise UsageError(f"--control: {text!r} is no endpoint: {error}") from None
    return text


def _speed(text: str) -> float:
    try:
        return TwinSettings(speed=float(text)).speed
    except ValueError:
        raise UsageError(
            f"--speed: {text!r} is no number above 0 and at most {FASTEST:g}"
        ) from None


def _seed(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        raise UsageError(f"--seed: {text!r} is no whole number") from None


def _world(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        values = dict(_flat(tomllib.loads(Path(path).read_text("utf-8"))))
        World(random.Random(0)).check(values)  # noqa: S311 - only to check
    except (OSError, ValueError) as error:  # TOMLDecodeError and WorldError are ValueErrors
        raise UsageError(f"--world: {path}: {error}") from None
    return values


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Write nested tables as dotted names; `[mains]` and `"mains.voltage"` may both be used."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def makeService(options: Options) -> IService:
    """Build the service, on the reactor of the process."""
    from twisted.internet import reactor

    make_monotonic(reactor)
    return cast("IService", build_twin(options.settings, reactor, time))
