"""Whatever happens on the way to a UPS card, no control is done twice, and none done is denied.

The real driver and the card twin, over TCP and over HTTP, with faults, cuts and restarts.
"""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.devices.upscard.rigs import HTTP, TCP, TwinRig, outcome
from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.core.status import State

CONTROLS = ("BZON", "BZOFF", "T")
FAULTS: dict[str, dict[str, Any]] = {
    "late": {"delay": 1.5},
    "too-late": {"delay": 5.5},
    "drop": {"drop": 0.5},
    "garbage": {"garbage": 0.5},
    "half": {"half": 0.5},
    "twice": {"duplicate": 0.5},
    "drip": {"drip": 50},
    "frozen": {"frozen": True},
    "refuse": {"refuse": True},
    "busy": {"busy": True},
    "no-password": {"code": "103"},
    "failing": {"http_status": 500},
    "behave": {},
}
EVENTS = [*CONTROLS, *FAULTS, "cut", "lose", "back", "restart"]
# What may happen, and how long the world then goes on, in tenths of a second.
STEPS = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(1, 60)), min_size=1, max_size=15)


def happen(rig: TwinRig, event: str) -> None:
    if event in FAULTS:
        faults = dict(FAULTS[event])
        if rig.way != HTTP:
            faults.pop("http_status", None)
        rig.fault(**faults)
    elif event == "cut":
        for pump in rig.network.pumps:
            pump.serverIO.abortConnection()
            pump.clientIO.abortConnection()
    elif event == "lose":
        rig.lose()
    elif event == "back":
        rig.network.reachable = True
    else:
        rig.card.stopService()
        rig.clock.settle()
        rig.card.startService()


@settings(max_examples=12)
@given(STEPS)
def test_no_control_is_done_twice_over_tcp(steps: list[tuple[str, int]]) -> None:
    """Each command ends once, is executed once at most, and an unknown outcome is `timeout`."""
    live(TCP, steps)


@settings(max_examples=12)
@given(STEPS)
def test_no_control_is_done_twice_over_http(steps: list[tuple[str, int]]) -> None:
    """The same where a result is POSTed back."""
    live(HTTP, steps)


def live(way: str, steps: list[tuple[str, int]]) -> None:
    """Let all of it happen, then peace, and look at what was done."""
    rig = TwinRig(way)
    done: Counter[str] = Counter()
    perform = rig.twin_card.perform

    def performing(cmd: str) -> str:
        done[cmd] += 1
        return perform(cmd)

    rig.twin_card.perform = performing  # type: ignore[method-assign]
    rig.start()
    wishes: dict[str, list[list[Any]]] = {name: [] for name in CONTROLS}
    for event, tenths in steps:
        if event in wishes:
            wishes[event].append(rig.command(event))
        else:
            happen(rig, event)
        rig.run(tenths / 10)
    rig.behave()
    rig.network.reachable = True
    rig.run(100.0, 0.5)
    for name, asked in wishes.items():
        ended = [outcome(each) for each in asked]
        sure = sum(each.value == "(OK" for each in ended)
        unsaid = sum(each.detail.startswith("not sent") for each in ended)
        refused = sum(each.result is Outcome.REFUSED for each in ended)
        assert sure <= done[name] <= len(ended) - unsaid - refused
    assert rig.state() is State.ONLINE
    rig.stop()
