"""The commands of a cFos manager: each call, what is refused, and what stays secret."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.devices.cfos.rig import PASSWORD, Asked, Manager, Rig
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.devices.cfos.commands import WEAR_PAUSE

DONE, FAILED, REFUSED, TIMEOUT = Outcome.DONE, Outcome.FAILED, Outcome.REFUSED, Outcome.TIMEOUT
NEW = "new+secret&4 %ü"


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    made.start()
    yield made
    made.stop()


def last(rig: Rig) -> Asked:
    """Return the last request that was no poll."""
    return [each for each in rig.manager.asked if each.cmd != "get_dev_info"][-1]


def sent(rig: Rig) -> int:
    """Return how many requests were no polls."""
    return sum(each.cmd != "get_dev_info" for each in rig.manager.asked)


WRITES: list[tuple[str, dict[str, Any], str, dict[str, str], Any]] = [
    (
        "override",
        {"dev_id": "E1", "flags": "CE", "mamps": 10000, "rfid": "4711"},
        "override_device",
        {"dev_id": "E1", "flags": "CE", "mamps": "10000", "rfid": "4711"},
        None,
    ),
    (
        "override",
        {"dev_id": "E1", "flags": "c"},
        "override_device",
        {"dev_id": "E1", "flags": "c"},
        None,
    ),
    ("enter-rfid", {"rfid": 4711}, "enter_rfid", {"rfid": "4711"}, None),
    (
        "enter-rfid",
        {"rfid": "4711", "dev_id": "E2"},
        "enter_rfid",
        {"rfid": "4711", "dev_id": "E2"},
        None,
    ),
    (
        "write-register",
        {"device": "evse", "write": "8094", "value": 0},
        "modbus",
        {"device": "evse", "write": "8094", "value": "0"},
        None,
    ),
    (
        "write-register",
        {"device": "evse", "write": "8044", "values": [7, 230, 230, 230]},
        "modbus",
        {"device": "evse", "write": "8044", "values": "[7,230,230,230]"},
        None,
    ),
    (
        "feed-meter",
        {"dev_id": "M3", "import_wh": 12345, "voltage": [231, 232, 233], "is_va": False},
        "set_ajax_meter",
        {"dev_id": "M3"},
        {"import_wh": 12345.0, "voltage": [231.0, 232.0, 233.0], "is_va": False},
    ),
    (
        "set-params",
        {"params": {"max_total_current": 40000, "disable_policy": 0}},
        "set_params",
        {},
        {"max_total_current": 40000, "disable_policy": 0},
    ),
    (
        "set-user",
        {"id": "2167520770", "rfids": [{"id": "4711", "used_phases": 7}], "dev_ids": ["E1"]},
        "set_user",
        {},
        {"id": "2167520770", "rfids": [{"id": "4711", "used_phases": 7}], "dev_ids": ["E1"]},
    ),
    ("reset-device", {"dev_id": "M1", "force": True}, "reset_device", {"dev_id": "M1"}, None),
    ("delete-device", {"dev_id": "E1", "force": True}, "del_device", {"dev_id": "E1"}, None),
    ("set-diag-logging", {"enable": True}, "set_diag_logging", {"enable": "1"}, None),
    (
        "accept-license",
        {"allow_usage_stats": False},
        "accept_license",
        {"acc": "1", "allow_usage_stats": "0"},
        None,
    ),
]


@pytest.mark.parametrize(("command", "args", "cmd", "query", "body"), WRITES)
def test_a_write(
    rig: Rig, command: str, args: dict[str, Any], cmd: str, query: dict[str, str], body: Any
) -> None:
    """A command is its call, with its arguments and the admin's password; "ok" is done."""
    assert rig.do(command, **args).result is DONE
    asked = last(rig)
    assert (asked.cmd, asked.args, asked.body) == (cmd, query, body)
    assert asked.password == PASSWORD
    assert len(rig.manager.calls("get_dev_info")) == 2  # at once, to show what it did


@pytest.mark.parametrize("answer", ["not allowed", 7, True, {"ok": 1}, b"<html>", b"", 500, 302])
@pytest.mark.parametrize(("command", "args", "cmd", "query", "body"), WRITES[:2] + WRITES[-1:])
def test_any_other_answer_is_a_failure(
    rig: Rig,
    command: str,
    args: dict[str, Any],
    cmd: str,
    query: dict[str, str],
    body: Any,
    answer: Any,
) -> None:
    """What a write answers besides "ok" makes it fail, whatever the status."""
    rig.manager.answers[cmd] = answer
    assert rig.do(command, **args).result is FAILED


@pytest.mark.parametrize(
    ("command", "args"),
    [
        ("override", {"dev_id": "E1"}),
        ("override", {"dev_id": "M1", "flags": "C"}),
        ("override", {"dev_id": "E1&cmd=x", "flags": "C"}),
        ("override", {"dev_id": "E1", "flags": "X"}),
        ("override", {"dev_id": "E1", "flags": "Cc"}),
        ("override", {"dev_id": "E1", "mamps": -1}),
        ("override", {"dev_id": "E1", "flags": "C", "rfid": "47 11"}),
        ("enter-rfid", {"rfid": "47-11"}),
        ("enter-rfid", {"rfid": "4711", "dev_id": "x"}),
        ("soft-meter", {"dev_id": "E1", "val": -1}),
        ("soft-meter", {"dev_id": "M1"}),
        ("read-register", {"device": "meter3", "read": "8002"}),
        ("read-register", {"device": "meter1", "read": "8002x"}),
        ("read-register", {"device": "meter1", "read": "8002", "count": 1000}),
        ("write-register", {"device": "evse", "write": "8044d", "value": 1}),
        ("write-register", {"device": "evse", "write": "8062d", "value": 1}),
        ("write-register", {"device": "evse", "write": "35154", "value": 1}),
        ("write-register", {"device": "evse", "write": "8044"}),
        ("write-register", {"device": "evse", "write": "8044", "values": ["x"]}),
        ("feed-meter", {"dev_id": "E1", "power_w": 1}),
        ("feed-meter", {"dev_id": "M1", "voltage": [1, 2, 3, 4]}),
        ("feed-evse", {"dev_id": "E1", "state": 6}),
        ("set-params", {"params": {}}),
        ("set-params", {"params": {"devices": [{}, {}]}}),
        ("set-params", {"params": {"ocpp_srv_password": "hunter2"}}),
        ("set-params", {"params": {"title": "x" * 20_000}}),
        ("set-params", {"params": {"disable_policy": -1}}),
        ("set-params", {"params": {" Disable_Policy ": "-1"}}),
        ("set-params", {"params": {"params": [{"disable_policy": -1}]}}),
        ("set-params", {"params": {"disable_policy": -1.0}, "force": True}),
        ("set-params", {"params": {"disable_policy": -1}, "force": False}),
        ("set-user", {"id": "1", "rfids": [{"id": "***"}]}),
        ("set-user", {"id": "1", "rfids": ["4711"]}),
        ("set-user", {"id": "1", "charging_rules": [{"days": 128}]}),
        ("reset-device", {"dev_id": "E1"}),
        ("reset-device", {"dev_id": "E1", "force": False}),
        ("delete-device", {"dev_id": "M1"}),
        ("delete-device", {"dev_id": "all", "force": True}),
    ],
)
def test_what_is_refused(rig: Rig, command: str, args: dict[str, Any]) -> None:
    """What is wrong, or dangerous and not forced, is refused with a reason, and not sent."""
    result = rig.do(command, **args)
    assert result.result is REFUSED, result
    assert result.detail
    assert sent(rig) == 0


def test_the_free_policy_with_force(rig: Rig) -> None:
    """`disable_policy` -1 goes out when it is forced."""
    assert rig.do("set-params", params={"disable_policy": -1}, force=True).result is DONE
    assert last(rig).body == {"disable_policy": -1}


def test_reading_registers(rig: Rig) -> None:
    """A read gives a number or a text as it is, and more as JSON."""
    answers = {"8062d": -1, "8016s": "cFos Power Brain", "8002": [1, 257], "all": {"8002": 1}}
    rig.manager.answers["modbus"] = lambda asked: answers.get(asked.args["read"], "unknown")

    def read(what: str, **more: int) -> Any:
        result = rig.do("read-register", device="meter1", read=what, **more)
        return result.value if result.result is DONE else result.detail

    assert read("8062d") == -1
    assert read("8016s") == "cFos Power Brain"
    assert read("8002", count=2) == "[1,257]"
    assert last(rig).args == {"device": "meter1", "read": "8002", "count": "2"}
    assert read("all") == '{"8002":1}'
    assert read("8041") == "unknown"


def test_the_simulated_meter(rig: Rig) -> None:
    """`soft-meter` gives the reading before; without a value it sets nothing."""
    rig.manager.answers["soft_meter"] = 7120572
    assert rig.do("soft-meter", dev_id="E1", val=8000000.5).value == 7120572
    assert last(rig).args == {"dev_id": "E1", "val": "8000000.5"}
    assert rig.do("soft-meter", dev_id="E1").value == 7120572
    assert last(rig).args == {"dev_id": "E1"}
    rig.manager.answers["soft_meter"] = "no such device"
    assert rig.do("soft-meter", dev_id="E9").result is FAILED


def test_feeding_an_evse(rig: Rig) -> None:
    """`feed-evse` gives the control object, in English."""
    rig.manager.answers["set_ajax_evse"] = {
        "device_enabled": True,
        "charging_enabled": False,
        "일시정지": True,
        "충전_전류": 16000,
    }
    result = rig.do("feed-evse", dev_id="E2", state=3, current=[1, 2, 3], rfid="4711")
    assert result.result is DONE
    assert json.loads(str(result.value)) == {
        "device_enabled": True,
        "charging_enabled": False,
        "paused": True,
        "charging_current": 16000.0,
    }
    assert last(rig).body == {"state": 3, "current": [1.0, 2.0, 3.0], "rfid": "4711"}


def test_users_are_shown_without_pins(rig: Rig) -> None:
    """`get-users` gives JSON, in which no PIN is."""
    user = {"id": "1", "name": "wusel", "rfids": [{"id": "471147", "name": "T"}]}
    rig.manager.answers["get_users"] = [user]
    result = rig.do("get-users")
    assert json.loads(str(result.value)) == [{**user, "rfids": [{"id": "***", "name": "T"}]}]
    assert "471147" not in rig.shown()


def test_one_user_is_shown_without_its_pins(rig: Rig) -> None:
    """`get-user` asks for one id; an unknown one is what the manager says."""
    user = {"id": 1, "name": "wusel", "rfids": [{"id": "471147"}], "charging_rules": [{"days": 3}]}
    rig.manager.answers["get_user"] = user
    result = rig.do("get-user", id="1")
    shown = json.loads(str(result.value))
    assert shown == {**user, "id": "1", "rfids": [{"id": "***"}]}
    assert last(rig).args == {"id": "1"}
    assert "471147" not in rig.shown()
    rig.manager.answers["get_user"] = "unknown user 1"
    assert rig.do("get-user", id="1").result is FAILED


def test_parameters_are_shown_without_secrets(rig: Rig) -> None:
    """`get-params` gives JSON; what its keys call a secret is masked, at any depth."""
    params = {"title": "x", "ocpp": [{"password": "hush-1", "fixed_rfid": "4711", "prio": 0}]}
    rig.manager.answers["get_params"] = params
    shown = json.loads(str(rig.do("get-params").value))
    assert shown == {
        "title": "x",
        "ocpp": [{"password": "***", "fixed_rfid": "***", "prio": 0}],
    }
    assert "hush-1" not in rig.shown()
    rig.manager.answers["get_params"] = "no rights"
    assert rig.do("get-params").result is FAILED


def test_an_rfid_is_named_and_not_told(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manager gets the RFID of the environment or of a file; no log and no audit has it."""
    monkeypatch.setenv("E1_RFID", "04AABBCC")
    path = tmp_path / "rfid"
    path.write_bytes(b"\xef\xbb\xbf04DDEEFF\r\n")
    for named, rfid in (({"env": "E1_RFID"}, "04AABBCC"), ({"file": str(path)}, "04DDEEFF")):
        params = {"devices": [{"dev_id": "E1", "fixed_rfid": named}]}
        assert rig.do("set-params", params=params).result is DONE
        assert last(rig).body == {"devices": [{"dev_id": "E1", "fixed_rfid": rfid}]}
        rig.manager.answers["set_params"] = f"bad rfid {rfid}"
        refused = rig.do("set-params", params=params)
        assert (refused.result, rfid in refused.detail) == (FAILED, False)
        del rig.manager.answers["set_params"]
        assert rfid not in rig.shown()
    none = {"devices": [{"dev_id": "E1", "fixed_rfid": ""}]}
    assert rig.do("set-params", params=none).result is DONE


@pytest.mark.parametrize(
    "value",
    ["04AABBCC", {"env": "NO_SUCH_RFID"}, {"file": "/etc/hostname/none"}, {"file": "/etc/passwd"},
     {"env": "PATH"}, {"env": "A", "file": "B"}, {"other": "x"}, {"env": 5}, 4711],
)  # fmt: skip
def test_what_is_no_rfid_is_refused(rig: Rig, value: Any) -> None:
    """Neither an RFID in the command nor another file of this computer is sent."""
    before = len(rig.manager.calls("set_params"))
    result = rig.do("set-params", params={"devices": [{"dev_id": "E1", "fixed_rfid": value}]})
    assert result.result is REFUSED
    assert len(rig.manager.calls("set_params")) == before
    assert "root:" not in result.detail


def test_a_new_user_has_a_new_id(rig: Rig) -> None:
    """`set-user` without an id asks the manager for one."""
    rig.manager.answers["get_new_user_id"] = "1170223812"
    result = rig.do("set-user", name="wusel", display=True)
    assert (result.result, result.value) == (DONE, "1170223812")
    assert last(rig).body == {"name": "wusel", "display": True, "id": "1170223812"}
    rig.manager.answers["get_new_user_id"] = "no rights"
    assert rig.do("set-user", name="wusel").result is FAILED
    assert last(rig).cmd == "get_new_user_id"


def test_no_answer_is_no_outcome(rig: Rig) -> None:
    """A write that is not answered may have been done; a read was not. Neither is repeated."""
    for cmd in ("override_device", "get_users", "soft_meter"):
        rig.manager.answers[cmd] = None
    assert rig.do("override", dev_id="E1", flags="C", seconds=4).result is TIMEOUT
    assert rig.do("soft-meter", dev_id="E1", val=5, seconds=4).result is TIMEOUT
    assert rig.do("get-users", seconds=4).result is FAILED
    assert rig.do("soft-meter", dev_id="E1", seconds=4).result is FAILED
    assert sent(rig) == 4


def test_the_flash_is_spared(rig: Rig) -> None:
    """A register that wears the flash is not written twice within a minute, in whatever shape."""
    write: dict[str, Any] = {"device": "meter1", "write": "8045", "value": 230}
    assert rig.do("write-register", **write).result is DONE
    for again in (
        write,
        {**write, "value": 231},
        {"device": "meter1", "write": "8044", "values": [7, 230]},
    ):
        result = rig.do("write-register", **again)
        assert result.result is REFUSED
        assert "wears" in result.detail
    assert sent(rig) == 1
    assert rig.do("write-register", **{**write, "device": "meter2"}).result is DONE
    assert rig.do("write-register", device="evse", write="8093", value=60).result is DONE
    assert rig.do("write-register", device="evse", write="8093", value=60).result is DONE
    rig.clock.run(WEAR_PAUSE, 1)
    assert rig.do("write-register", **write).result is DONE


# -- the password


def changed(manager: Manager, asked: Asked) -> Any:
    """Change the admin password as a manager does."""
    if (asked.password, asked.args["old_pwd"]) != (manager.admin, manager.admin):
        return 401
    manager.admin = asked.args["new_pwd"]
    return "ok"


def test_a_changed_password_is_used(rig: Rig) -> None:
    """After the change the new password is sent; a person is told to write it down."""
    rig.manager.answers["change_admin_pwd"] = lambda asked: changed(rig.manager, asked)
    result = rig.do("change-admin-password", new_pwd=NEW)
    assert result.result is DONE
    assert "configuration" in result.detail
    assert rig.manager.admin == NEW
    assert rig.do("set-diag-logging", enable=True).result is DONE
    assert last(rig).password == NEW


def test_a_change_that_failed(rig: Rig) -> None:
    """A refused change leaves the old password, and nothing else is tried later."""
    rig.manager.answers["change_admin_pwd"] = "wrong old password"
    result = rig.do("change-admin-password", old_pwd="not it", new_pwd=NEW)
    assert (result.result, "wrong old password" in result.detail) == (FAILED, True)
    rig.manager.admin = "another"
    assert rig.do("set-diag-logging", enable=True).result is FAILED
    assert {each.password for each in rig.manager.asked} == {PASSWORD}


@pytest.mark.parametrize("done", [True, False])
def test_a_change_without_an_answer(rig: Rig, done: bool) -> None:
    """The outcome is unknown: the next call finds the password that holds."""

    def silent(asked: Asked) -> None:
        if done:
            changed(rig.manager, asked)

    rig.manager.answers["change_admin_pwd"] = silent
    assert rig.do("change-admin-password", new_pwd=NEW, seconds=4).result is TIMEOUT
    assert rig.do("set-diag-logging", enable=True).result is DONE
    assert last(rig).password == (NEW if done else PASSWORD)


def test_without_a_password_the_old_one_is_asked_for() -> None:
    """A driver without a password cannot change one that it is not told."""
    rig = Rig(password=None)
    rig.start()
    assert rig.do("change-admin-password", new_pwd=NEW).result is REFUSED
    rig.stop()


@pytest.mark.parametrize(
    "answer",
    [
        lambda asked: f"wrong: {asked.args}",
        lambda asked: f"wrong: {asked.args['old_pwd']}",
        lambda asked: "x" * 150 + asked.args["new_pwd"] * 9,
        lambda _: 401,
        lambda _: 500,
        lambda _: None,
        lambda _: b"\xff",
    ],
)
def test_no_password_is_ever_seen(rig: Rig, answer: Any) -> None:
    """Whatever the manager makes of it, no password reaches the log, the audit, an error."""
    new = "Pa55word-of-the-new"
    rig.manager.answers["change_admin_pwd"] = answer
    result = rig.do("change-admin-password", old_pwd=PASSWORD, new_pwd=new, seconds=4)
    assert result.result in {FAILED, TIMEOUT}
    for secret in (PASSWORD, new, new[:8]):
        assert secret not in rig.shown() + repr(result)


def test_no_pin_is_ever_seen(rig: Rig) -> None:
    """The same for PINs, alone or within a user."""
    for cmd in ("enter_rfid", "override_device", "set_ajax_evse"):
        rig.manager.answers[cmd] = lambda asked: f"bad rfid {asked.args or asked.body}"
    rig.manager.answers["set_user"] = lambda asked: f"bad user {asked.body}"
    pin = "90817263"
    results = [
        rig.do("enter-rfid", rfid=pin),
        rig.do("override", dev_id="E1", flags="C", rfid=pin),
        rig.do("set-user", id="1", rfids=[{"id": pin}]),
    ]
    rig.manager.answers["set_ajax_evse"] = lambda asked: f"bad {asked.body['rfid']}"
    results.append(rig.do("feed-evse", dev_id="E1", rfid=pin))
    assert [each.result for each in results] == [FAILED] * 4
    assert pin not in rig.shown() + repr(results)


def test_words_without_a_secret_are_shown(rig: Rig) -> None:
    """What the manager says of a PIN is told as long as the PIN is not in it."""
    rig.manager.answers["enter_rfid"] = "no such RFID"
    assert rig.do("enter-rfid", rfid="4711") == CommandResult(
        FAILED, "the manager answers 'no such RFID'"
    )


def test_a_write_that_was_not_sent_wears_nothing(rig: Rig) -> None:
    """Without a connection the register was not written: the next try need not wait."""
    wish: dict[str, Any] = {"device": "evse", "write": "8085", "value": 60}
    rig.wire.reachable = False
    assert rig.do("write-register", **wish).result is Outcome.FAILED
    rig.wire.reachable = True
    assert rig.do("write-register", **wish).result is Outcome.DONE
    assert rig.do("write-register", **wish).result is Outcome.REFUSED
