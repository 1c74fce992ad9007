"""The Charging Manager: rules, load balancing, devices that are fed, set, deleted and reset."""

from typing import Any

import pytest

from tests.twin.faces.cfos.bench import PIN, Bench, noon
from twisted_gantry.wire.cfos.calls import decode_control

E2_FED = {"state": 2, "current": [0, 0, 0], "total_energy": 1000, "model": "Box"}


@pytest.fixture
def bench() -> Bench:
    """A Power Brain with a car that has charged for half a minute."""
    bench = Bench()
    bench.run(30)
    return bench


# -- rules


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([noon()], 8000),
        ([noon(days=2)], 16_000),
        ([noon(time=780)], 16_000),
        ([noon(enabled=False)], 16_000),
        ([noon(time=719, dur=1)], 16_000),
        ([noon(days=64, time=1380, dur=14 * 60)], 8000),
        ([noon(mode=1, current=-6000)], 10_000),
        ([noon(mode=1, current=6000)], 16_000),
        ([noon(), noon(mode=1, current=1000)], 9000),
        ([noon(current=0)], 0),
        ([noon(current=5000)], 0),
        ([noon(mode=5)], 16_000),
        ([noon(expr="x")], 16_000),
        ([{"days": 127, "current": 7000}], 7000),
    ],
)
def test_rules_of_the_time_of_day(bench: Bench, rules: list[dict[str, Any]], expected: int) -> None:
    """Absolute and relative rules hold on their days and at their times, also past midnight."""
    bench.change("E1", charging_rules=rules)
    assert bench.current() == expected


def test_a_rule_ends_by_itself_and_can_be_overridden(bench: Bench) -> None:
    """After its time the limit is back; `E` takes it away for the car that is there."""
    bench.change("E1", charging_rules=[noon(dur=2)])
    assert bench.current() == 8000
    bench.call("override_device", dev_id="E1", flags="E")
    assert bench.current() == 16_000
    bench.call("override_device", dev_id="E1", flags="e")
    assert bench.current() == 8000
    bench.run(60)
    assert bench.current() == 16_000


def test_the_rules_of_a_user_hold_while_he_charges(bench: Bench) -> None:
    """They begin with his PIN, and `U` takes them away."""
    user = bench.call("get_user", id="2167520770")
    bench.call("set_user", {**user, "charging_rules": [noon(current=9000)]})
    assert bench.current() == 16_000
    bench.open("enter_rfid", rfid=PIN, dev_id="E1")
    assert bench.current() == 9000
    bench.open("override_device", dev_id="E1", flags="U", rfid=PIN)
    assert bench.current() == 16_000
    bench.open("override_device", dev_id="E1", flags="u", rfid=PIN)
    bench.call("set_user", {**user, "charging_rules": [noon(current=7000)]})
    assert bench.current() == 7000


# -- parameters and load balancing


def test_the_policy_for_a_disabled_device(bench: Bench) -> None:
    """Disabled it charges at its least by default, not at all with 0, without limit with -1."""
    bench.change("E1", device_enabled=0)
    assert bench.device("E1")["device_enabled"] == 0
    assert bench.current() == 6000
    assert bench.call("set_params", {"disable_policy": 0}) == "ok"
    assert bench.current() == 0
    bench.put("E1.car_current", 32)
    assert bench.call("set_params", {"disable_policy": -1}) == "ok"
    assert bench.current() == 32_000
    assert bench.call("set_params", {"disable_policy": 7}) != "ok"


def test_balancing_leaves_room_for_the_rest(bench: Bench) -> None:
    """The wallbox gets what the site leaves; a limit for all EVSEs holds as well."""
    bench.put("other_w", 220 * 3 * 20)  # 20 A in each phase
    assert bench.current() == 16_000  # it observes only
    bench.call("set_params", {"lb_enabled": True})
    assert bench.current() == 12_000
    bench.call("set_params", {"reserve_current": 4000})
    assert bench.current() == 8000
    bench.call("set_params", {"max_total_evse_power": 6 * 690})
    assert bench.current() == 6000
    assert bench.params()["max_total_evse_current"] == 6000


def test_too_little_pauses_for_its_least_time(bench: Bench) -> None:
    """Under the least current it pauses, and goes on when the time and the current are there."""
    bench.call("set_params", {"lb_enabled": True, "min_pause_time": 100})
    bench.put("other_w", 220 * 3 * 28)
    bench.run(10)
    shown = bench.device("E1")
    assert (shown["paused"], shown["pause_time"], shown["pause_min_time"]) == (True, 10, 100)
    assert (shown["state"], shown["charging_enabled"]) == (2, True)
    bench.put("other_w", 900)
    assert bench.current(60) == 0
    assert bench.current(60) == 16_000
    assert bench.device("E1")["paused"] is False


def test_the_higher_priority_is_served_first(bench: Bench) -> None:
    """Two cars and current for one: the EVSE with the higher `prio` gets it."""
    bench.put("other_w", 0)
    bench.call("set_params", {"lb_enabled": True, "max_total_evse_current": 20_000})
    bench.change("E2", prio=2)
    control = bench.call("set_ajax_evse", E2_FED, dev_id="E2")
    assert (control["charging_current"], control["paused"]) == (16_000, False)
    bench.run(1)
    assert bench.device("E1")["paused"] is True
    assert bench.device("E1")["state"] == 2


def test_a_limit_may_be_an_expression(bench: Bench) -> None:
    """`max_charging_cur` may be text: a number, or a variable of the manager; else it stays."""
    bench.change("E1", max_charging_cur="my_limit")
    assert bench.device("E1")["max_charging_cur"] == "my_limit"
    assert bench.current() == 16_000
    assert bench.call("set_cm_vars", name="my_limit", val="9000") == "ok"
    assert bench.current() == 9000
    bench.change("E1", max_charging_cur="7000")
    assert bench.current() == 7000
    assert bench.call("set_cm_vars", name="1;x", val="1") == "bad variable name 1;x"


# -- what is fed


def test_the_curl_example_of_the_document(bench: Bench) -> None:
    """The document's POST to M3 is taken, and seen; the power follows from it."""
    body = (
        '{ "model": "TestModell", "import_wh": 12345, "export_wh": 23456, '
        '"voltage": [231, 232, 233], "current": [10001, 10002, 10003] }'
    )
    assert bench.device("M3")["com_err"] is True
    assert bench.call("set_ajax_meter", body, dev_id="M3") == "ok"
    shown = bench.device("M3")
    assert (shown["model"], shown["import"], shown["export"]) == ("TestModell", 12345, 23456)
    assert [shown[f"voltage_l{n}"] for n in (1, 2, 3)] == [231, 232, 233]
    assert [shown[f"current_l{n}"] for n in (1, 2, 3)] == [10001, 10002, 10003]
    assert shown["power_w"] == pytest.approx(231 * 10.001 + 232 * 10.002 + 233 * 10.003, abs=1)
    assert shown["com_err"] is False


def test_the_get_example_of_the_document(bench: Bench) -> None:
    """The same by GET, and by the other spelling of the energy."""
    args = {
        "dev_id": "M3",
        "model": "TestModell",
        "export_wh": "23456",
        "voltage": "231,232,233",
        "current": "10001,10002,10003",
    }
    assert bench.call("set_ajax_meter", **args, import_wh="12345") == "ok"
    assert bench.device("M3")["import"] == 12345
    assert bench.call("set_ajax_meter", **args, import_vah="99") == "ok"
    assert bench.device("M3")["import"] == 99
    assert bench.call("set_ajax_meter", {"power_va": -500, "is_va": True}, dev_id="M3") == "ok"
    shown = bench.device("M3")
    assert (shown["power_w"], shown["is_va"], shown["import"]) == (-500, True, 99)


def test_a_real_meter_is_not_fed(bench: Bench) -> None:
    """Only an HTTP input takes values, and a mad feed changes nothing."""
    assert bench.call("set_ajax_meter", {"power_w": 5}, dev_id="M1") == "M1 is no HTTP input meter"
    assert bench.call("set_ajax_evse", {"state": 2}, dev_id="E1") == "E1 is no HTTP input EVSE"
    # The document's own example says so.
    assert bench.call("set_ajax_evse", {"state": 2}, dev_id="M3") == "M3 is no EVSE"
    feeds: list[Any] = [{"power_w": "much"}, {"voltage": []}, {"current": [1, 2, 3, 4]}, [], "x"]
    for feed in feeds:
        assert bench.call("set_ajax_meter", feed, dev_id="M3") != "ok"
    assert bench.device("M3")["com_err"] is True


def test_a_fed_evse_is_told_what_to_do(bench: Bench) -> None:
    """Its answer is the control object, which follows overrides until its car leaves."""
    assert bench.device("E2")["state"] == 6
    control = decode_control(bench.call("set_ajax_evse", E2_FED, dev_id="E2"))
    assert (control.device_enabled, control.charging_enabled, control.paused) == (True, True, False)
    assert control.charging_current == 16_000
    shown = bench.device("E2")
    assert (shown["state"], shown["total_energy"], shown["model"]) == (2, 1000, "Box")
    bench.call("override_device", dev_id="E2", flags="C")
    control = decode_control(bench.call("set_ajax_evse", {"state": 2}, dev_id="E2"))
    assert (control.charging_enabled, control.charging_current) == (False, 0)
    control = decode_control(bench.call("set_ajax_evse", dev_id="E2", state="1"))
    assert control.charging_enabled is True
    args = {"state": "3", "current": "8000,8000,8000", "max_charging_current": "10000"}
    control = decode_control(bench.call("set_ajax_evse", dev_id="E2", **args))
    assert control.charging_current == 10_000
    assert bench.device("E2")["cur_charging_power"] == 8 * 690


def test_a_fed_rfid_authorizes(bench: Bench) -> None:
    """The RFID in a feed is that of a card at the EVSE."""
    bench.change("E2", users=["8"])
    user = {"id": "8", "rfids": [{"id": "77"}]}
    bench.call("set_user", user)
    control = bench.call("set_ajax_evse", E2_FED, dev_id="E2")
    assert control["charging_enabled"] is False
    control = bench.call("set_ajax_evse", {**E2_FED, "rfid": 77}, dev_id="E2")
    assert control["charging_enabled"] is True


def test_the_soft_meter_replies_what_was_before(bench: Bench) -> None:
    """Read or set, the answer is the reading before it; then it goes on from there."""
    before = bench.device("E1")["total_energy"]
    assert bench.call("soft_meter", dev_id="E1") == before
    assert bench.call("soft_meter", dev_id="E1", val=7_120_572) == before
    assert bench.call("soft_meter", dev_id="E1") == 7_120_572
    bench.run(60)
    assert bench.call("soft_meter", dev_id="E1") > 7_120_572
    assert bench.call("soft_meter", dev_id="M1") == "M1 is no EVSE"
    assert bench.call("soft_meter", dev_id="E1", val="-1") == "bad number val"


# -- devices


def test_a_device_is_deleted_reset_and_made_anew(bench: Bench) -> None:
    """A reset forgets its settings; one that was deleted is unknown until it is set again."""
    bench.change("E1", name="Left", max_charging_cur=8000)
    assert bench.call("reset_device", dev_id="E1") == "ok"
    assert (bench.device("E1")["name"], bench.register("8093")) == ("Wallbox", 160)
    assert bench.call("del_device", dev_id="E1") == "ok"
    ids = [each["dev_id"] for each in bench.open("get_dev_info").json["devices"]]
    assert ids == ["E2", "M1", "M2", "M3"]
    for cmd in ("del_device", "reset_device", "soft_meter"):
        assert bench.call(cmd, dev_id="E1") == "unknown device E1"
    assert bench.register("8093") == "unknown modbus device evse"
    bench.run(5)
    bench.change("E1", name="Back")
    assert bench.device("E1")["name"] == "Back"


def test_a_reset_takes_the_defaults_of_the_registers(bench: Bench) -> None:
    """8080 to 8082 are what a wallbox begins with."""
    for address, value in (("8080", 70), ("8081", 100), ("8082", 0)):
        assert bench.write(address, value) == "ok"
    bench.call("reset_device", dev_id="E1")
    assert [bench.register(each) for each in ("8091", "8093", "8094")] == [70, 100, 0]


def test_settings_are_shown_and_can_be_sent_back(bench: Bench) -> None:
    """What `get_devices` shows of a device is a good `set_device`; a PIN is not in it."""
    bench.change("E1", group=3, fixed_rfid="secret-rfid", charging_rules=[noon()])
    listed = bench.open("get_devices")
    assert b"secret-rfid" not in listed.raw
    for device in listed.json:
        assert bench.call("set_device", {"devices": [device]}) == "ok"
    again = {each["dev_id"]: each for each in bench.open("get_devices").json}
    assert again == {each["dev_id"]: each for each in listed.json}
    assert again["E1"]["group"] == 3


@pytest.mark.parametrize(
    "content",
    [
        {"devices": []},
        {"devices": [{"dev_id": "E1"}, {"dev_id": "E2"}]},
        {"devices": [{}]},
        {"devices": [{"dev_id": "E9"}]},
        {"devices": [{"dev_id": "E1", "prio": "high"}]},
        {"devices": [{"dev_id": "E1", "attach": "M9"}]},
        {"devices": [{"dev_id": "E1", "attach": "E2"}]},
        {"devices": [{"dev_id": "E1", "charging_rules": [{"days": 300}]}]},
        {"devices": 5},
        {"unknown": 1},
        [],
        "no object",
    ],
)
def test_bad_settings_change_nothing(bench: Bench, content: Any) -> None:
    """What cannot be is told in words, and all stays as it is."""
    before = bench.open("get_devices").json
    answer = bench.call("set_params", content)
    assert isinstance(answer, str)
    assert answer != "ok"
    assert bench.open("get_devices").json == before


def test_an_inverted_meter(bench: Bench) -> None:
    """`invert` turns power and currents round."""
    power = bench.device("M1")["power_w"]
    bench.change("M1", invert=True)
    shown = bench.device("M1")
    assert shown["power_w"] == -power
    assert shown["current_l1"] < 0


def test_diagnosis_stops_by_itself(bench: Bench) -> None:
    """It logs for five minutes of the clock, or until it is stopped."""
    assert bench.params()["diag_logging"] is False
    assert bench.call("set_diag_logging", enable=1) == "ok"
    bench.run(299)
    assert bench.params()["diag_logging"] is True
    bench.run(1)
    assert bench.params()["diag_logging"] is False
    bench.call("set_diag_logging", enable=1)
    assert bench.call("set_diag_logging", enable=0) == "ok"
    assert bench.params()["diag_logging"] is False
    assert bench.call("set_diag_logging", enable=2) == "enable must be 0 or 1"


def test_the_license_is_accepted(bench: Bench) -> None:
    """Both answers are kept and shown."""
    assert bench.call("accept_license", acc=1, allow_usage_stats=0) == "ok"
    params = bench.params()
    assert (params["license_accepted"], params["allow_usage_stats"]) == (True, False)
    assert bench.call("accept_license", acc="yes") != "ok"


def test_an_error_at_a_fed_evse_ends_no_transaction(bench: Bench) -> None:
    """State E tells of no unplugging: what was overridden for the car holds until it leaves."""

    def fed(state: int) -> Any:
        return bench.call("set_ajax_evse", {"state": state}, dev_id="E2")["charging_enabled"]

    assert fed(3) is True
    bench.call("override_device", dev_id="E2", flags="C")
    assert (fed(3), fed(5), fed(3)) == (False, False, False)
    assert (fed(1), fed(3)) == (True, True)


def test_parameters_beside_a_device_are_taken_too(bench: Bench) -> None:
    """What is answered "ok" was done, all of it; what is refused, nothing of it."""
    both = {"title": "Gantry 7", "devices": [{"dev_id": "E1", "prio": 3}]}
    assert bench.call("set_params", both) == "ok"
    assert bench.call("get_params")["title"] == "Gantry 7"
    both = {"title": "Gantry 8", "devices": [{"dev_id": "E9"}]}
    assert bench.call("set_params", both) == "unknown device E9"
    assert bench.call("get_params")["title"] == "Gantry 7"
