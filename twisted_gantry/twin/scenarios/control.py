"""The scenarios' part of the control API, to be mounted at `/twin/v1/scenario`."""

from math import isfinite
from typing import Any

from twisted.web.server import Request

from twisted_gantry.net.http.json import HttpError, read_object, refuse_foreign_origin, respond
from twisted_gantry.twin.requests import control_app
from twisted_gantry.twin.scenarios import script
from twisted_gantry.twin.scenarios.runner import CannotStart, Runner


class ScenarioControl:
    app = control_app(
        (script.ScenarioError, 400, "bad-scenario"),
        (script.UnknownScenario, 404, "unknown-scenario"),
    )
    app.url_map.strict_slashes = False  # mounted at a path, its root is that path without a slash

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @app.route("/", methods=["GET"])
    def show(self, request: Request) -> bytes:
        """Show the present or the last run: `{"scenario": …}`, null without any."""
        return self._shown(request)

    @app.route("/", methods=["POST"])
    def start(self, request: Request) -> bytes:
        """Run `{"name"}` of the library, or a scenario with its `steps`; `speed` is optional."""
        refuse_foreign_origin(request)
        content = read_object(request)
        speed = _read_speed(content.pop("speed", None))
        try:
            self._runner.start(_read(content), speed)
        except CannotStart as error:
            raise HttpError(409, error.code, str(error)) from None
        return self._shown(request)

    @app.route("/", methods=["DELETE"])
    def stop(self, request: Request) -> bytes:
        """Stop the run; its faults end, and the world stays as it is."""
        refuse_foreign_origin(request)
        self._runner.stop()
        return self._shown(request)

    @app.route("/library", methods=["GET"])
    def library(self, request: Request) -> bytes:
        """Show the library: `{"scenarios": [{"name", "en", "zh", …}]}`."""
        found = [_summary(script.load_scenario(name)) for name in script.scenario_names()]
        return respond(request, {"scenarios": found})

    @app.route("/library/<name>", methods=["GET"])
    def one(self, request: Request, name: str) -> bytes:
        scenario = script.load_scenario(name)
        return respond(request, {**scenario.given, **_summary(scenario)})

    def _shown(self, request: Request) -> bytes:
        return respond(request, {"scenario": self._runner.shown()})


def _summary(scenario: script.Scenario) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "en": scenario.en,
        "zh": scenario.zh,
        "length": scenario.length_s,
        "fastest": scenario.fastest if isfinite(scenario.fastest) else None,
    }


def _read(content: dict[str, Any]) -> script.Scenario:
    if "steps" in content:
        return script.read_scenario(content)
    name = content.get("name")
    if not isinstance(name, str) or content.keys() != {"name"}:
        raise HttpError(400, "bad-scenario", 'give {"name": …} or {"steps": […]}, and "speed"')
    return script.load_scenario(name)


def _read_speed(given: object) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise HttpError(400, "bad-scenario", "speed must be a number")
    try:
        return float(given)
    except OverflowError:
        raise HttpError(400, "bad-scenario", "speed has too many digits") from None
