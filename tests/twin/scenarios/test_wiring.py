"""Scenarios as a part of the twin: its control API, its option, its start."""

from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.python.usage import UsageError

from tests.twin.helpers import NOW, http
from twisted_gantry.twin.scenarios.runner import CannotStart
from twisted_gantry.twin.scenarios.script import UnknownScenario
from twisted_gantry.twin.service import ON_FREE_PORTS, TwinSettings, build_twin
from twisted_gantry.twin.tap import Options

_OPTIONS: Any = Options  # Twisted does not say what it takes


class Bench:
    def __init__(self, **settings: Any) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.twin = build_twin(
            TwinSettings(**{**ON_FREE_PORTS, **settings}), self.reactor, lambda: NOW
        )
        self.twin.startService()
        control: Any = self.twin.listeners["control"]
        [self.site] = [s[1] for s in self.reactor.tcpServers if s[1] is control._factory]

    def ask(self, method: str, path: str = "", body: Any = b"") -> Any:
        return http(self.site, method, f"/twin/v1/scenario{path}", body)


def test_the_control_api_runs_scenarios_in_the_time_of_the_twin() -> None:
    """At the path of the contract, without a slash; at the speed of the world."""
    bench = Bench(speed=60)
    assert bench.ask("GET").json == {"scenario": None}
    assert bench.ask("POST", body={"name": "smoke"}).json["scenario"]["state"] == "running"
    assert bench.twin.world.snapshot()["cab1.smoke"]
    bench.reactor.pump([0.1] * 51)
    assert bench.ask("GET").json["scenario"]["state"] == "done"
    assert not bench.twin.world.snapshot()["cab1.smoke"]
    assert bench.ask("GET", "/library/smoke").status == 200
    assert bench.ask("DELETE").status == 200
    assert bench.ask("GET", "/fire").status == 404
    bench.twin.stopService()


def test_a_twin_may_begin_with_a_scenario() -> None:
    """It runs from the start; an unknown one, or too high a speed, is an error at once."""
    bench = Bench(scenario="mains-failure")
    assert bench.ask("GET").json["scenario"]["name"] == "mains-failure"
    assert bench.twin.world.snapshot()["mains.voltage_r"] == 0
    bench.twin.stopService()
    with pytest.raises(UnknownScenario):
        Bench(scenario="main-failure")
    with pytest.raises(CannotStart):
        Bench(scenario="card-hangs", speed=60)


def test_the_option_names_a_scenario() -> None:
    """The error for an unknown one names the known ones."""
    options = _OPTIONS()
    options.parseOptions(["--scenario", "smoke", "--speed", "60"])
    assert options.settings.scenario == "smoke"
    for arguments, why in (
        (["--scenario", "fire"], "--scenario: no scenario 'fire'; there are air-cond"),
        (["--scenario", "smoke", "--speed", "61"], "made for --speed 60 at the most"),
    ):
        with pytest.raises(UsageError, match=why):
            _OPTIONS().parseOptions(arguments)
