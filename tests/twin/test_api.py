"""The control API answers with the types of `wire/twin_api.py`."""

from typing import Any, get_origin

import msgspec
import pytest

from tests.twin.helpers import http, report
from tests.twin.test_control import Bench
from twisted_gantry.wire.operations import Operation
from twisted_gantry.wire.twin_api import OPERATIONS, Expectation, ScenarioRun, ShownRun

EXAMPLES: dict[str, Any] = {
    "changeWorld": {"mains.voltage": 0},
    "setFaults": {"delay": 2.0},
    "setDialects": {"dialects": ["gbk"]},
    "startRun": {"name": "mains-failure"},
    "setCards": {
        "version": "20261001000000",
        "cards": [
            {
                "cardId": "1",
                "validTime": "2026-10-01 00:00:00",
                "invalidTime": "2027-10-01 00:00:00",
            }
        ],
    },
}
EXAMPLES["notify"] = {"id": "1", "event": "raised", "alarms": []}
NEEDS_A_PEER = {"sendCommand", "sendConfiguration", "getFleet", "getFleetWorld", "changeFleetWorld"}
"""What a twin answers only with a gantry, a device of the cloud or a fleet beside it."""


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.id not in NEEDS_A_PEER], ids=lambda o: o.id
)
def test_answers_fit_their_types(operation: Operation) -> None:
    """Each answer fits its type, and has every member that the document promises."""
    bench = Bench()
    http(bench.monitor, "POST", "/monitor.do", report())
    path = operation.path.removeprefix("/twin/v1").format(
        face="etc", endpoint="etc", name="mains-failure"
    )
    body = EXAMPLES.get(operation.id, b"")
    exchange = bench.call(operation.method.upper(), path, body)
    assert exchange.status == 200
    if get_origin(operation.answer) is dict:
        assert isinstance(exchange.json, dict)
        return
    fitted = msgspec.to_builtins(msgspec.convert(exchange.json, operation.answer))
    assert exchange.json.keys() >= fitted.keys()


def test_a_run_and_its_expectations() -> None:
    """A run has the members of `ScenarioRun`, its expectations those of `Expectation`."""
    bench = Bench()
    answer = bench.call("POST", "/scenario", EXAMPLES["startRun"]).json
    run = msgspec.convert(answer, ShownRun).scenario
    assert run is not None
    assert answer["scenario"].keys() == {
        each.encode_name for each in msgspec.structs.fields(ScenarioRun)
    }
    assert run.expectations
    for given in run.expectations:
        expectation = msgspec.convert(given, Expectation)
        assert (expectation.since is None) is (expectation.due is None)
