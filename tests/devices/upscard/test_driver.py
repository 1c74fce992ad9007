"""The driver of a UPS card against the card twin, in memory on a Clock: over TCP, and over HTTP."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, globalLogPublisher
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.devices.upscard.rigs import (
    HTTP,
    LIVE,
    RATINGS,
    Rig,
    ScriptFactory,
    ScriptRig,
    TwinRig,
    outcome,
)
from tests.support import fired
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import IBatteryTester, IDevice, IDeviceKind
from twisted_gantry.core.status import State
from twisted_gantry.devices.upscard import driver as upscard
from twisted_gantry.devices.upscard import http as upscard_http
from twisted_gantry.wire.secret import Secret
from twisted_gantry.wire.upscard.messages import Result


def test_provides_its_interfaces(rig: TwinRig) -> None:
    """The driver is an IDevice that can test its battery, its kind an IDeviceKind."""
    kind: Any = upscard_http.kind if rig.way == HTTP else upscard.kind
    assert verifyObject(IDevice, rig.card)
    assert verifyObject(IBatteryTester, rig.card)
    assert verifyObject(IDeviceKind, kind)
    assert rig.card.kind == kind.kind
    assert isinstance(rig.settings, kind.settings)


def test_ratings_and_live_data_become_points(rig: TwinRig) -> None:
    """After the first poll every point that the card has is good, in the units of the catalogue."""
    good = rig.bench.good
    assert good("ups1.manufacturer") == "Sunshine"
    assert good("ups1.rated_input_voltage") == 220.0
    assert good("ups1.state") == "line"
    assert good("ups1.mains_abnormal") is False
    assert good("ups1.input_voltage_r") == pytest.approx(220, abs=2)
    assert good("ups1.input_current_r") == "not-supported"
    assert rig.bench.points.catalogue["ups1.battery_runtime"].unit == "s"


def test_polls_at_its_period(way: str) -> None:
    """QAD goes out every `poll` seconds, RTD once an hour."""
    rig = ScriptRig(way, poll=10.0)
    factory = rig.script
    rig.start(105.0)
    assert len(factory.commands("QAD")) == 11
    assert len(factory.commands("RTD")) == 1
    rig.clock.run(3600.0, step=5.0)
    assert len(factory.commands("RTD")) == 2
    rig.stop()


def test_mains_failure_is_seen_by_the_next_poll(rig: TwinRig) -> None:
    """A failure of the mains is an alarm after one poll, its end clears it."""
    rig.world.change({"mains.voltage": 0})
    rig.clock.run(2.1)
    assert rig.bench.good("ups1.state") == "battery"
    assert "ups1.mains-abnormal" in rig.bench.raised()
    rig.world.change({"mains.voltage": 220})
    rig.clock.run(2.1)
    assert rig.bench.raised() == set()


def test_phase_loss_is_told_from_a_mains_failure(rig: TwinRig) -> None:
    """One phase gone is a phase loss; all gone is none."""
    rig.world.change({"mains.voltage_s": 0})
    rig.clock.run(6.0)
    assert {"ups1.mains-abnormal", "ups1.phase-l2-lost"} <= rig.bench.raised()
    rig.world.change({"mains.voltage": 0})
    rig.clock.run(6.0)
    assert "ups1.phase-l2-lost" not in rig.bench.raised()
    assert "ups1.mains-abnormal" in rig.bench.raised()


def test_a_miss_fails_the_points_at_the_first(rig: TwinRig) -> None:
    """One reply that does not come makes the points get-failed, their last values stay."""
    before = rig.bench.points["ups1.input_voltage_r"]
    rig.faults.put(rig.face, {"drop": 1})
    rig.clock.run(5.5)
    point = rig.bench.points["ups1.input_voltage_r"]
    assert point.quality.value == "get-failed"
    assert (point.value, point.at) != (None, None)
    assert before.value is not None
    assert rig.state() is State.ONLINE
    assert rig.card.status.last_error is not None
    assert rig.card.status.last_error.startswith("no reply in time")


def test_a_lost_link_is_not_a_power_cut(rig: TwinRig) -> None:
    """A link that is lost makes the device offline, an alarm of its own, and no mains alarm."""
    rig.lose()
    rig.clock.run(7.0)
    assert rig.state() is State.OFFLINE
    assert rig.bench.raised() == set()
    rig.clock.run(11.0)
    assert rig.bench.raised() == {"ups1.offline"}
    rig.network.reachable = True
    rig.clock.run(61.0)
    assert rig.bench.raised() == set()


def test_bad_then_silent_has_its_own_grace(rig: TwinRig) -> None:
    """A card that falls silent on battery keeps the mains alarm; its silence is told later."""
    rig.world.change({"mains.voltage": 0})
    rig.clock.run(2.1)
    rig.lose()
    rig.clock.run(20.0)
    assert rig.bench.raised() == {"ups1.mains-abnormal", "ups1.on-battery"}
    rig.clock.run(18.0)
    assert rig.bench.raised() == {"ups1.mains-abnormal", "ups1.on-battery", "ups1.offline"}
    [offline] = [a for a in rig.bench.alarms.active() if a.name == "ups1.offline"]
    assert "last known: mains abnormal" in offline.en


@pytest.mark.parametrize("known", [None, Secret("wrong")])
def test_a_wrong_password_backs_off_and_says_so(way: str, known: Secret | None) -> None:
    """A refused password makes the device offline with the reason, and is not tried every poll."""
    rig = TwinRig(way, "right", password=known)
    rig.card.startService()
    rig.clock.run(60.0, step=0.5)
    assert rig.state() is State.OFFLINE
    assert "103" in str(rig.card.status.last_error)
    assert rig.twin.counts["error-103"] <= 8
    rig.stop()


def test_the_right_password_is_taken(way: str) -> None:
    """With the card's password in the configuration the card answers."""
    rig = TwinRig(way, "right", password=Secret("right"))
    rig.start()
    assert rig.state() is State.ONLINE
    rig.stop()


def test_another_number_of_fields_fails_the_numbers(way: str) -> None:
    """A QAD with another number of fields shifts nothing: its numbers fail, its status counts."""
    rig = ScriptRig(way)
    factory = rig.script
    rig.start()
    factory.answers["QAD"] = LIVE.replace("220.1 ", "").replace("0000100000", "0000100010")
    rig.clock.run(2.5)
    numbers = ("battery_voltage", "battery_charge", "input_voltage_r")
    assert {rig.bench.good(f"ups1.{name}") for name in numbers} == {"get-failed"}
    assert rig.bench.good("ups1.mains_abnormal") is True
    assert rig.bench.good("ups1.manufacturer") == "Sunshine"
    assert "QAD has 22 fields, not 23" in str(rig.card.status.last_error)
    assert rig.state() is State.ONLINE
    rig.stop()


def test_an_unreadable_reading_fails_all_its_points(way: str) -> None:
    """A QAD without any field that can be read fails all points, and is quoted."""
    rig = ScriptRig(way)
    rig.start()
    rig.script.answers["QAD"] = "(1 2 3"
    rig.clock.run(2.5)
    assert rig.bench.good("ups1.battery_charge") == "get-failed"
    assert rig.bench.good("ups1.state") == "get-failed"
    assert "the answer is '(1 2 3'" in str(rig.card.status.last_error)
    rig.clock.run(6.0)
    assert rig.state() is State.OFFLINE
    rig.stop()


def test_malformed_ratings_do_not_stop_the_live_data(way: str) -> None:
    """A card that cannot tell its ratings is online all the same."""
    rig = ScriptRig(way)
    factory = rig.script
    factory.answers["RTD"] = "(nonsense"
    rig.start(10.0)
    assert rig.state() is State.ONLINE
    assert rig.bench.good("ups1.model") == "get-failed"
    assert len(rig.network.pumps) == 1
    rig.stop()


@pytest.mark.parametrize(
    ("command", "variable", "value"),
    [("BZOFF", "ups1.buzzer_muted", True), ("T", "ups1.state", "test")],
)
def test_controls_act(rig: TwinRig, command: str, variable: str, value: Any) -> None:
    """A control is done, acts on the UPS, and the next reading comes at once."""
    results = rig.command(command)
    rig.clock.run(0.3)
    assert outcome(results).result is Outcome.DONE
    assert rig.world.snapshot()[variable] == value
    assert rig.bench.good(variable) == value


def test_a_control_that_the_ups_will_not_do_has_failed(rig: TwinRig) -> None:
    """`(FAILED` is the outcome `failed`."""
    rig.world.change({"ups1.fault": "inverter"})
    results = rig.command("SON")
    rig.clock.run(0.3)
    assert outcome(results).result is Outcome.FAILED
    assert "(FAILED" in outcome(results).detail


@pytest.mark.parametrize("allow_off", [False, True])
@pytest.mark.parametrize("confirmed", [False, True])
def test_soff_needs_a_setting_and_a_confirmation(
    way: str, allow_off: bool, confirmed: bool
) -> None:
    """SOFF darkens the output only if the device allows it and a person confirmed."""
    rig = TwinRig(way, allow_off=allow_off)
    rig.start()
    results = rig.command("SOFF", confirmed=confirmed)
    rig.clock.run(0.5)
    allowed = allow_off and confirmed
    assert outcome(results).result is (Outcome.DONE if allowed else Outcome.REFUSED)
    assert (rig.world.snapshot()["ups1.output_w"] == 0) is allowed
    rig.stop()


@pytest.mark.parametrize(
    "text",
    [
        *("SOFF", "soff()", " T ", "S.3", "S02R0005", "TL", "C", "LOFF1", "lon2"),
        *("SOFF\x00", "SOFF(", "SOFF()()", "SOFF（）", "SOFF;", '"SOFF"', "S OFF", "SOFF\r"),
        *("ＳＯＦＦ", "Q1\rS.3", "\ufeffSOFF"),
    ],
)
def test_a_control_does_not_pass_as_a_query(rig: TwinRig, text: str) -> None:
    """`query` refuses what is a control, however it is written."""
    results = rig.command("query", {"cmd": text})
    rig.clock.run(0.3)
    assert outcome(results).result is Outcome.REFUSED


def test_a_query_that_the_card_does_not_know_has_failed(
    scripted: tuple[Rig, ScriptFactory],
) -> None:
    """`(FAILED` is no value."""
    rig, factory = scripted
    factory.answers["QRI"] = "(FAILED"
    results = rig.command("query", {"cmd": "QRI"})
    rig.clock.run(0.3)
    assert outcome(results).result is Outcome.FAILED
    assert "(FAILED to QRI" in outcome(results).detail


def test_a_query_brings_its_value_back(scripted: tuple[Rig, ScriptFactory]) -> None:
    """Any other text is asked, and its value returned."""
    rig, factory = scripted
    factory.answers["Q1"] = "(236.7 000.0 236.7"
    results = rig.command("query", {"cmd": "Q1"})
    rig.clock.run(0.3)
    assert outcome(results) == CommandResult(Outcome.DONE, value="(236.7 000.0 236.7")


def test_busy_is_retried_inside_the_deadline(scripted: tuple[Rig, ScriptFactory]) -> None:
    """201 is asked again with a growing pause; what comes within 5 s counts."""
    rig, factory = scripted
    answers = iter([201, 201, 201, "(OK"])
    factory.answers["BZON"] = lambda _: next(answers)
    results = rig.command("BZON")
    rig.clock.run(3.0)
    assert outcome(results).result is Outcome.DONE
    assert len(factory.commands("BZON")) == 4
    assert len({command["session"] for command in factory.commands("BZON")}) == 4


def test_busy_for_too_long_is_a_timeout(scripted: tuple[Rig, ScriptFactory]) -> None:
    """A card that stays BUSY past the deadline makes the command a timeout."""
    rig, factory = scripted
    factory.answers["BZON"] = 201
    results = rig.command("BZON")
    rig.clock.run(4.5)
    assert results == []
    rig.clock.run(1.0)
    assert outcome(results).result is Outcome.TIMEOUT
    assert "BUSY" in outcome(results).detail


def test_a_control_goes_ahead_of_queries(scripted: tuple[Rig, ScriptFactory]) -> None:
    """One command is in flight; a control is the next."""
    rig, factory = scripted
    factory.answers["QAD"] = None
    factory.answers["BZON"] = "(OK"
    rig.clock.run(2.0)
    rig.command("BZON")
    rig.clock.run(0.5)
    assert factory.commands("BZON") == []
    rig.clock.run(3.0)
    assert len(factory.commands("BZON")) == 1


def test_offline_commands_fail_at_once(way: str) -> None:
    """A command to a card that is not connected fails and says so."""
    rig = TwinRig(way)
    rig.network.reachable = False
    rig.start()
    results = rig.command("BZON")
    assert outcome(results).result is Outcome.FAILED
    assert outcome(results).detail.startswith("not sent: ")
    rig.stop()


def test_an_expired_command_is_withdrawn(scripted: tuple[Rig, ScriptFactory]) -> None:
    """A command that expires while another is in flight is never sent."""
    rig, factory = scripted
    factory.answers["QAD"] = None
    rig.clock.run(2.0)
    results = rig.command("BZON", expiry=0.5)
    rig.clock.run(1.0)
    assert outcome(results).result is Outcome.TIMEOUT
    rig.clock.run(10.0)
    assert factory.commands("BZON") == []


def test_an_expired_command_is_not_sent_to_a_busy_card_again(
    scripted: tuple[Rig, ScriptFactory],
) -> None:
    """A command that expires while the card is BUSY is not repeated when the pause is over."""
    rig, factory = scripted
    factory.answers["T"] = 201
    results = rig.command("T", expiry=0.3)
    rig.clock.run(0.5)
    assert outcome(results).result is Outcome.TIMEOUT
    sent = len(factory.commands("T"))
    rig.clock.run(5.0)
    assert len(factory.commands("T")) == sent
    assert rig.state() is State.ONLINE


def test_a_reply_after_the_expiry_harms_nothing(scripted: tuple[Rig, ScriptFactory]) -> None:
    """A command that expired in flight may still be answered: its outcome stays the timeout."""
    rig, factory = scripted

    def late(command: dict[str, Any]) -> None:
        reply = Result(uid="1", session=command["session"], cmd="T", value="(OK").encode()
        rig.clock.callLater(1.0, factory.sessions[-1].send, reply)

    factory.answers["T"] = late
    results = rig.command("T", expiry=0.3)
    rig.clock.run(5.0)
    assert outcome(results).result is Outcome.TIMEOUT
    assert rig.state() is State.ONLINE
    assert len(rig.network.pumps) == 1


def test_set_password_is_proved(rig: TwinRig) -> None:
    """A new password is set with a QAD, proved by another, and used from then on."""
    results = rig.command("set-password", {"new": "AYI9 123456"})
    rig.clock.run(0.5)
    assert outcome(results).result is Outcome.DONE
    assert rig.twin_card.password == "AYI9 123456"
    rig.clock.run(10.0)
    assert rig.state() is State.ONLINE
    rig.command("set-password", {"new": "clear"})
    rig.clock.run(10.0)
    assert rig.twin_card.password == ""
    assert rig.state() is State.ONLINE


def test_a_password_change_whose_reply_is_lost_is_found_out(rig: TwinRig) -> None:
    """When the outcome of a change is unknown, the driver uses the password that works."""
    rig.faults.put(rig.face, {"drop": 1, "for": 4})
    results = rig.command("set-password", {"new": "secret"})
    rig.clock.run(20.0)
    assert outcome(results).result is Outcome.TIMEOUT
    assert rig.twin_card.password == "secret"
    assert rig.state() is State.ONLINE


def test_a_password_that_the_card_did_not_take_is_not_adopted(
    scripted: tuple[Rig, ScriptFactory],
) -> None:
    """A card that answers, and keeps its old password, is read under the old one again."""
    rig, factory = scripted
    rig.card._passwords.adopt("old")

    def only_old(command: dict[str, Any]) -> str | int:
        return LIVE if command.get("pass") == "old" else 103

    factory.answers["QAD"] = only_old
    results = rig.command("set-password", {"new": "new"})
    rig.clock.run(1.0)
    assert outcome(results).result is Outcome.FAILED
    assert "kept the old one" in outcome(results).detail
    rig.clock.run(10.0)
    assert rig.state() is State.ONLINE


def test_a_poll_between_does_not_prove_the_new_password(
    scripted: tuple[Rig, ScriptFactory],
) -> None:
    """A poll that finds the old password still in force does not make the change look done."""
    rig, factory = scripted
    rig.card._passwords.adopt("old")

    def slow_and_old(command: dict[str, Any]) -> str | int | None:
        answer: str | int = LIVE if command.get("pass") == "old" else 103
        if "new_pass" not in command:
            return answer
        reply = Result(uid="1", session=command["session"], cmd="QAD", value=LIVE).encode()
        rig.clock.callLater(2.5, factory.sessions[-1].send, reply)  # a poll queues meanwhile
        return None

    factory.answers["QAD"] = slow_and_old
    results = rig.command("set-password", {"new": "new"})
    rig.clock.run(4.0)
    assert outcome(results).result is Outcome.FAILED
    assert "kept the old one" in outcome(results).detail
    rig.clock.run(10.0)
    assert rig.state() is State.ONLINE


@pytest.mark.parametrize("seconds", [0.3, 3.0])
def test_a_password_that_the_card_takes_late_is_found_out(way: str, seconds: float) -> None:
    """A card that says yes, goes on with the old one and changes later is not lost for good."""
    rig = ScriptRig(way)
    password: dict[str, str | None] = {"is": None}

    def guarded(value: str) -> Any:
        def answer(command: dict[str, Any]) -> str | int:
            if command.get("pass") != password["is"]:
                return 103
            if "new_pass" in command:
                rig.clock.callLater(seconds, password.update, {"is": command["new_pass"]})
            return value

        return answer

    rig.script.answers = {"RTD": guarded(RATINGS), "QAD": guarded(LIVE)}
    rig.start()
    results = rig.command("set-password", {"new": "late"})
    rig.clock.run(1.0)
    assert outcome(results).result is Outcome.FAILED
    rig.clock.run(15.0)
    assert rig.state() is State.ONLINE
    password["is"] = "another"
    rig.clock.run(30.0)
    assert rig.state() is State.OFFLINE
    assert "103" in str(rig.card.status.last_error)
    asked = len(rig.script.received)
    rig.clock.run(60.0)
    assert len(rig.script.received) - asked <= 12
    rig.stop()


def test_a_password_change_that_expires_is_found_out(rig: TwinRig) -> None:
    """When the command expires in flight and the card did change, the driver finds the new one."""
    rig.faults.put(rig.face, {"delay": 1.0, "for": 3})
    results = rig.command("set-password", {"new": "secret"}, expiry=0.3)
    rig.clock.run(20.0)
    assert outcome(results).result is Outcome.TIMEOUT
    assert rig.twin_card.password == "secret"
    assert rig.state() is State.ONLINE


def test_a_card_without_ratings_is_not_asked_with_every_poll(way: str) -> None:
    """RTD that is never answered is asked again once a minute; QAD keeps its period."""
    rig = ScriptRig(way)
    factory = rig.script
    factory.answers["RTD"] = None
    rig.start(130.0)
    assert len(factory.commands("RTD")) == 3
    assert len(factory.commands("QAD")) >= 55
    assert rig.state() is State.ONLINE
    rig.stop()


def test_a_busy_card_is_offline_and_stays_connected(rig: TwinRig) -> None:
    """A card that only says BUSY is offline after three readings; its connection is not cut."""
    rig.faults.put(rig.face, {"busy": True})
    rig.clock.run(30.0)
    assert rig.state() is State.OFFLINE
    assert "BUSY" in str(rig.card.status.last_error)
    assert len(rig.network.pumps) == 1
    rig.behave()
    rig.clock.run(5.0)
    assert rig.state() is State.ONLINE


def test_what_follows_from_a_reading_fails_with_it(way: str) -> None:
    """After a miss the capacity that is left is as unknown as the charge it follows from."""
    rig = TwinRig(way, battery_ah=100.0)
    rig.start()
    assert rig.bench.good("ups1.battery_remaining") == pytest.approx(98, abs=1)
    rig.faults.put(rig.face, {"drop": 1})
    rig.clock.run(5.5)
    assert rig.bench.good("ups1.battery_charge") == "get-failed"
    assert rig.bench.good("ups1.battery_remaining") == "get-failed"
    rig.stop()


def test_secrets_show_nowhere(rig: TwinRig) -> None:
    """A password is in no log event, audit entry, error or repr."""
    events: list[str] = []

    @implementer(ILogObserver)
    def watch(event: Any) -> None:
        events.append(repr(event))

    globalLogPublisher.addObserver(watch)
    try:
        rig.command("set-password", {"new": "hunter2"})
        rig.clock.run(3.0)
        rig.twin_card.set_password("other")
        rig.clock.run(20.0)
    finally:
        globalLogPublisher.removeObserver(watch)
    audit: Deferred[Any] = rig.bench.store.audit(10)
    seen = [*events, repr(fired(audit)), repr(vars(rig.card.status)), repr(rig.card)]
    assert not [text for text in seen if "hunter2" in text]


def test_runtime_unit_and_capacity_are_settings(way: str) -> None:
    """`runtime_unit = min` counts minutes, `battery_ah` gives the Ah that are left."""
    rig = ScriptRig(way, runtime_unit="min", battery_ah=100.0)
    rig.start()
    assert rig.bench.good("ups1.battery_runtime") == 31687 * 60
    assert rig.bench.good("ups1.battery_remaining") == 90.0
    rig.stop()
