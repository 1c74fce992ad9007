"""The Charging Manager: what it shows, overrides, users and their PINs."""

import pytest

from tests.twin.faces.cfos.bench import PIN, Bench
from twisted_gantry.wire.cfos.values import decode_dev_info

E2_FED = {"state": 2, "current": [0, 0, 0], "total_energy": 1000, "model": "Box"}


@pytest.fixture
def bench() -> Bench:
    """A Power Brain with a car that has charged for half a minute."""
    bench = Bench()
    bench.run(30)
    return bench


# -- what it shows


def test_every_key_of_the_document_is_there(bench: Bench) -> None:
    """`get_dev_info` has the document's keys, for the manager, an EVSE and a meter."""
    params = (
        "title desc max_total_current reserve_current overdraft_cur max_total_evse_current "
        "cons_evse_power avail_evse_power lb_enabled disable_policy cycle_time max_evses "
        "shareware_mode version time vsn ocpp_gateway_license_cnt ocpp_gateway_licenses_used"
    )
    common = (
        "dev_type device_enabled name address id dev_id number desc com_err com_err_secs "
        "com_errors last_error is_evse used_phases model"
    )
    evse = (
        "label min_charging_cur max_charging_cur prio charging_enabled cur_charging_power "
        "total_energy phases state paused pause_time pause_min_time"
    )
    meter = (
        "is_va invert import export power_w current_l1 current_l2 current_l3 "
        "voltage_l1 voltage_l2 voltage_l3 role"
    )
    assert set(params.split()) <= set(bench.params())
    assert bench.params()["vsn"]["vendorid"] == 52_997
    for dev_id in ("E1", "E2"):
        shown = bench.device(dev_id)
        assert set(f"{common} {evse}".split()) <= set(shown)
        assert shown["is_evse"] is True
    for dev_id in ("M1", "M2", "M3"):
        shown = bench.device(dev_id)
        assert set(f"{common} {meter}".split()) <= set(shown)
        assert shown["is_evse"] is False


def test_it_reads_as_our_wire_reads(bench: Bench) -> None:
    """Every value of a poll means something, in each generation's words."""
    info = decode_dev_info(bench.open("get_dev_info").body)
    assert not info.odd
    assert set(info.parts) == {"E1", "E2", "M1", "M2", "M3"}
    assert info.parts["E1"].readings["state"].value == "charging"
    assert info.parts["E1"].readings["power"].value == 16 * 220 * 3
    assert info.parts["E1"].readings["charging_current"].value == 16
    assert info.parts["M1"].readings["role"].value == "grid-demand"
    assert info.parts["M1"].readings["voltage_l1"].value == 220
    assert info.params["disable_policy"].value == "minimum-current"


def test_a_mains_failure_is_seen(bench: Bench) -> None:
    """Without mains M1 has no voltage, and the car gets nothing; M2 knows the nominal one only."""
    bench.set_mains(0)
    shown = bench.device("M1")
    assert [shown[f"voltage_l{n}"] for n in (1, 2, 3)] == [0, 0, 0]
    assert (shown["power_w"], shown["current_l1"]) == (0, 0)
    assert bench.device("E1")["state"] == 2
    assert bench.device("M2")["voltage_l1"] == 230
    bench.set_mains(220)
    assert bench.current() == 16_000


def test_energy_and_power_agree_over_time(bench: Bench) -> None:
    """An hour at a power adds as many Wh at the wallbox, and at the meters."""
    before = {dev_id: bench.device(dev_id) for dev_id in ("E1", "M1", "M2")}
    bench.run(360)
    power = before["E1"]["cur_charging_power"]
    after = {dev_id: bench.device(dev_id) for dev_id in before}
    assert after["E1"]["total_energy"] - before["E1"]["total_energy"] == pytest.approx(
        power / 10, abs=2
    )
    assert after["M2"]["import"] - before["M2"]["import"] == pytest.approx(power / 10, abs=2)
    assert before["M1"]["power_w"] == power + 900
    assert after["M1"]["import"] - before["M1"]["import"] == pytest.approx(
        (power + 900) / 10, abs=2
    )
    assert bench.params()["cons_evse_power"] == power


def test_get_params_is_flat_and_names_the_types(bench: Bench) -> None:
    """The keys of both generations, and `dev_meta` with every type."""
    params = bench.open("get_params").json
    for old, new in (
        ("max_total_power", "max_total_current"),
        ("power_reserve", "reserve_current"),
        ("overdraft", "overdraft_cur"),
        ("max_total_evse_power", "max_total_evse_current"),
        ("consumed_evse_power", "cons_evse_power"),
        ("remaining_evse_power", "avail_evse_power"),
    ):
        assert {old, new} <= set(params)
    assert params["max_total_power"] == 32 * 690
    types = {each["dev_type"] for each in bench.open("get_dev_info").json["devices"]}
    assert types <= set(params["dev_meta"])
    assert bench.open("get_dev_types").json == params["dev_meta"]
    assert "devices" not in params


# -- overrides


def test_an_override_holds_until_the_car_leaves(bench: Bench) -> None:
    """Off and a limit act at once, are shown, and are gone with the car."""
    assert bench.call("override_device", dev_id="E1", mamps=8000) == "ok"
    assert bench.current() == 8000
    assert bench.device("E1")["ov_cur"] == 8000
    assert bench.call("override_device", dev_id="E1", flags="CE") == "ok"
    shown = bench.device("E1")
    assert (shown["charging_enabled"], shown["state"], shown["overrides"]) == (False, 2, 3)
    assert bench.register("8094") == 0
    bench.put("E1.car", "none")
    shown = bench.device("E1")
    assert (shown["overrides"], shown["state"], "ov_cur" in shown) == (0, 1, False)
    assert bench.register("8094") == 1
    bench.put("E1.car", "connected")
    assert bench.current() == 16_000


def test_small_letters_put_it_on_again(bench: Bench) -> None:
    """`c` undoes `C`; the letters may come together with a limit."""
    bench.call("override_device", dev_id="E1", flags="C")
    assert bench.device("E1")["state"] == 2
    assert bench.call("override_device", dev_id="E1", flags="c", mamps="7000.0") == "ok"
    assert bench.current() == 7000


def test_an_override_without_a_car_is_told_and_does_nothing(bench: Bench) -> None:
    """There is no transaction to override: the next car charges as always."""
    bench.put("E1.car", "none")
    answer = bench.call("override_device", dev_id="E1", flags="C", mamps=6000)
    assert answer == "no car at E1"
    assert bench.register("8094") == 1
    bench.put("E1.car", "connected")
    assert bench.current() == 16_000


@pytest.mark.parametrize(
    "args",
    [
        {"flags": "X"},
        {"flags": "Cx"},
        {"mamps": "many"},
        {"mamps": "-1"},
        {"mamps": "nan"},
        {"mamps": "1e30"},
        {},
    ],
)
def test_a_bad_override_changes_nothing(bench: Bench, args: dict[str, str]) -> None:
    """Unknown letters and numbers that are none are told, and nothing of the call acts."""
    answer = bench.call("override_device", dev_id="E1", **args)
    assert isinstance(answer, str)
    assert answer != "ok"
    assert bench.device("E1")["overrides"] == 0
    assert bench.current() == 16_000


def test_a_pin_overrides_charging_but_not_the_rules_of_the_wallbox(bench: Bench) -> None:
    """Without the admin password a PIN may `C`, `U` and limit; `E` is the admin's."""
    assert bench.open("override_device", dev_id="E1", flags="C", rfid=PIN).json == "ok"
    assert bench.device("E1")["overrides"] == 1
    assert bench.open("override_device", dev_id="E1", flags="c", rfid=PIN).json == "ok"
    assert bench.open("override_device", dev_id="E1", flags="U", rfid=PIN).json == "ok"
    assert bench.open("override_device", dev_id="E1", mamps=6000, rfid=PIN).json == "ok"
    for flags in ("E", "e", "CE"):
        assert bench.open("override_device", dev_id="E1", flags=flags, rfid=PIN).status == 401
    assert bench.device("E1")["overrides"] == 4


def test_a_pin_is_good_for_its_own_devices_only(bench: Bench) -> None:
    """Neither an unknown PIN, nor one for another EVSE, has an effect."""
    assert bench.open("override_device", dev_id="E1", flags="C", rfid="0815").status == 401
    bench.call("set_ajax_evse", E2_FED, dev_id="E2")
    assert bench.open("override_device", dev_id="E2", flags="C", rfid=PIN).status == 401
    assert bench.device("E2")["overrides"] == 0


def test_the_admin_needs_a_pin_for_the_rules_of_a_user(bench: Bench) -> None:
    """`U` is the user's, also for the admin."""
    assert (
        bench.call("override_device", dev_id="E1", flags="U") == "U and u need the RFID of a user"
    )
    assert bench.call("override_device", dev_id="E1", flags="U", rfid=PIN) == "ok"


# -- users


def test_a_wallbox_with_users_waits_for_a_pin(bench: Bench) -> None:
    """No car charges before a PIN of one of its users, and the next car needs one again."""
    bench.change("E1", users=["2167520770"])
    shown = bench.device("E1")
    assert (shown["needs_auth"], shown["charging_enabled"], shown["state"]) == (True, False, 2)
    assert bench.open("enter_rfid", rfid="1234", dev_id="E1").json == "this RFID is not for E1"
    assert bench.device("E1")["needs_auth"] is True
    assert bench.open("enter_rfid", rfid=PIN, dev_id="E1").json == "ok"
    assert bench.current() == 16_000
    assert bench.register("8096s") == PIN
    bench.put("E1.car", "none")
    bench.put("E1.car", "connected")
    assert bench.device("E1")["needs_auth"] is True
    assert bench.current() == 0


def test_without_a_device_the_one_that_waits_is_taken(bench: Bench) -> None:
    """A PIN finds its EVSE; one that fits none is told so."""
    bench.change("E1", users=["2167520770"])
    assert bench.open("enter_rfid", rfid=PIN).json == "ok"
    assert bench.device("E1")["needs_auth"] is False
    assert bench.open("enter_rfid", rfid="1234").json == "no EVSE waits for this RFID"
    bench.put("E1.car", "none")
    assert bench.open("enter_rfid", rfid=PIN).json == "no EVSE waits for this RFID"
    assert bench.open("enter_rfid", rfid=PIN, dev_id="E1").json == "no car at E1"


def test_an_rfid_may_stop_charging(bench: Bench) -> None:
    """One that is not to authorize but to stop turns charging off, and on again."""
    user = bench.call("get_user", id="2167520770")
    user["rfids"].append({"id": "99", "ac_auth": False, "ac_ovch": True})
    assert bench.call("set_user", user) == "ok"
    assert bench.open("enter_rfid", rfid="99", dev_id="E1").json == "ok"
    assert bench.device("E1")["state"] == 2
    assert bench.open("enter_rfid", rfid="99", dev_id="E1").json == "ok"
    assert bench.current() == 16_000


def test_an_rfid_that_authorized_may_stop_too(bench: Bench) -> None:
    """One that may do both begins the first time, stops the second, and goes on the third."""
    user = bench.call("get_user", id="2167520770")
    user["rfids"][0]["ac_ovch"] = True
    bench.call("set_user", user)
    bench.change("E1", users=[user["id"]])
    for expected in (16_000, 0, 16_000):
        assert bench.open("enter_rfid", rfid=PIN, dev_id="E1").json == "ok"
        assert bench.current() == expected


def test_an_rfid_may_set_the_phases(bench: Bench) -> None:
    """`used_phases` of an RFID holds for the car that it authorized."""
    user = bench.call("get_user", id="2167520770")
    user["rfids"][0]["used_phases"] = 1
    bench.call("set_user", user)
    bench.open("enter_rfid", rfid=PIN, dev_id="E1")
    bench.run(5)
    assert bench.device("E1")["phases"] == 1


def test_users_are_made_and_changed(bench: Bench) -> None:
    """An existing user is changed without a password, a new one needs it and gets an id."""
    assert [user["id"] for user in bench.call("get_users")] == ["2167520770"]
    known = bench.call("get_user", id="2167520770")
    known["name"] = "new name"
    assert bench.open("set_user", known).json == "ok"
    assert bench.call("get_user", id="2167520770")["name"] == "new name"
    new_id = bench.call("get_new_user_id")
    new = {"id": new_id, "name": "another", "rfids": [{"id": "5555", "name": "card"}]}
    assert bench.open("set_user", new).status == 401
    assert bench.call("set_user", new) == "ok"
    assert bench.call("get_new_user_id") != new_id
    assert bench.call("set_user", {"name": "third"}) == "ok"
    assert len({user["id"] for user in bench.call("get_users")}) == 3
    assert bench.open("enter_rfid", rfid="5555", dev_id="E1").json == "ok"


def test_no_two_users_have_one_rfid(bench: Bench) -> None:
    """A PIN of another cannot be taken over, and is not told."""
    answer = bench.call("set_user", {"id": "7", "rfids": [{"id": PIN}]})
    assert answer == "another user has this RFID"
    assert len(bench.call("get_users")) == 1
