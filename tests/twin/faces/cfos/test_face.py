"""The face of the Power Brain: who may call what, its errors, its faults, and what is hostile."""

import json
import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.logger import globalLogPublisher, textFileLogObserver
from twisted.python.failure import Failure

from tests.twin.faces.cfos.bench import PIN, Bench, basic
from tests.twin.helpers import mistake
from twisted_gantry.twin.faces.cfos.calls import Calls, Password
from twisted_gantry.twin.faces.cfos.face import PowerBrain
from twisted_gantry.twin.faults.settings import CFOS, Faults, FaultSettings
from twisted_gantry.wire.cfos.values import decode_dev_info


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def log() -> Iterator[StringIO]:
    text = StringIO()
    observer = textFileLogObserver(text)
    globalLogPublisher.addObserver(observer)
    yield text
    globalLogPublisher.removeObserver(observer)


def set_faults(bench: Bench, **faults: Any) -> None:
    bench.faults.put(CFOS, faults)


KNOWN_USER = {"id": "2167520770", "name": "wusel", "rfids": [{"id": PIN}]}
# Each call with arguments that are good: the query, the body, and whether it needs no password.
CALLS: list[tuple[str, Any, bool]] = [
    ("cmd=get_dev_info", None, True),
    ("cmd=get_params", None, True),
    ("cmd=get_dev_types", None, True),
    ("cmd=get_devices", None, True),
    ("cmd=modbus&device=evse&read=8002", None, True),
    ("cmd=modbus&device=meter2&read=all", None, True),
    (f"cmd=enter_rfid&rfid={PIN}", None, True),
    ("cmd=set_user", KNOWN_USER, True),
    (f"cmd=override_device&dev_id=E1&flags=C&rfid={PIN}", None, True),
    ("cmd=override_device&dev_id=E1&flags=C", None, False),
    ("cmd=override_device&dev_id=E1&flags=C&rfid=1", None, False),
    (f"cmd=override_device&dev_id=E1&flags=E&rfid={PIN}", None, False),
    ("cmd=modbus&device=evse&write=8093&value=100", None, False),
    ("cmd=modbus&device=evse&read=8093&write=8093&value=100", None, False),
    ("cmd=soft_meter&dev_id=E1", None, False),
    ("cmd=soft_meter&dev_id=E1&val=5", None, False),
    ("cmd=set_ajax_meter&dev_id=M3", {"power_w": 1}, False),
    ("cmd=set_ajax_evse&dev_id=E2", {"state": 1}, False),
    ("cmd=set_params", {"title": "x"}, False),
    ("cmd=set_device", {"dev_id": "E1", "name": "x"}, False),
    ("cmd=set_cm_vars&name=a&val=1", None, False),
    ("cmd=get_users", None, False),
    ("cmd=get_user&id=2167520770", None, False),
    ("cmd=get_new_user_id", None, False),
    ("cmd=set_user", {"id": "1", "name": "new"}, False),
    ("cmd=accept_license&acc=1&allow_usage_stats=1", None, False),
    ("cmd=set_diag_logging&enable=1", None, False),
    ("cmd=reset_device&dev_id=M3", None, False),
    ("cmd=del_device&dev_id=M3", None, False),
    ("cmd=change_admin_pwd&old_pwd=1234abcd&new_pwd=1234abcd", None, False),
]


def test_the_table_has_every_call(bench: Bench) -> None:
    """No call is left out of the table below."""
    known = set(Calls(bench.brain.manager, Password("x")).known)
    assert {query.split("&")[0].removeprefix("cmd=") for query, _, _ in CALLS} == known


@pytest.mark.parametrize(("query", "body", "is_open"), CALLS)
def test_who_may_call(bench: Bench, query: str, body: Any, is_open: bool) -> None:
    """With the password all is answered; without, what is open; with a wrong one, nothing."""
    before = bench.open("get_devices").json
    exchange = bench.request(query, body)
    assert exchange.status == (200 if is_open else 401)
    if not is_open:
        assert b"WWW-Authenticate: Basic" in exchange.raw
        assert bench.open("get_devices").json == before
    assert bench.request(query, body, basic("wrong")).status == 401
    assert bench.request(query, body, basic(bench.password, "root")).status == 401
    good = bench.request(query, body, basic(bench.password))
    assert good.status == 200
    assert not isinstance(good.json, str) or good.json == "ok" or good.json.isdigit()
    assert b"application/json" in good.raw


@pytest.mark.parametrize("header", ["Basic", "Basic !", "Bearer x", "Basic Og==", "x" * 500])
def test_a_header_that_is_no_password_is_a_wrong_one(bench: Bench, header: str) -> None:
    """Whatever stands in `Authorization`, it is the password or it is 401."""
    exchange = bench.request("cmd=get_dev_info", headers={"Authorization": header})
    assert exchange.status == 401


def test_the_page_checks_the_password(bench: Bench) -> None:
    """`/ui/en/sim.htm` is for the admin: 200, else 401."""
    path = "/ui/en/sim.htm"
    assert bench.request("", path=path).status == 401
    assert bench.request("", headers=basic("wrong"), path=path).status == 401
    exchange = bench.request("", headers=basic(bench.password), path=path)
    assert exchange.status == 200
    assert b"text/html" in exchange.raw


def test_the_password_is_changed(bench: Bench, log: StringIO) -> None:
    """The new password counts at once, the old no more; neither is ever in the log."""
    args = {"old_pwd": "1234abcd", "new_pwd": 'Geheim!"'}
    assert bench.call("change_admin_pwd", **args) == "ok"
    assert bench.request("cmd=get_users", headers=basic("1234abcd")).status == 401
    bench.password = 'Geheim!"'
    assert bench.call("get_users")
    wrong = bench.request(
        "cmd=change_admin_pwd&old_pwd=1234abcd&new_pwd=zz", headers=basic(bench.password)
    )
    assert wrong.status == 401
    answer = bench.call("change_admin_pwd", old_pwd='Geheim!"', new_pwd="")
    assert answer == "a password must have 1 to 64 characters"
    assert bench.call("get_users")
    assert "Geheim" not in log.getvalue()
    assert "1234abcd" not in log.getvalue()
    assert "1234" not in repr(Password("1234abcd"))


def test_a_password_must_be_one(bench: Bench) -> None:
    """An empty admin password is refused when the twin is set up."""
    with pytest.raises(ValueError, match="1 to 64"):
        PowerBrain(bench.charging, bench.faults, bench.clock, bench.now, admin_password="")


def test_an_unknown_command_is_named(bench: Bench) -> None:
    """HTTP 200 and a JSON string that has the name, cut short; also without any command."""
    exchange = bench.open("make_coffee")
    assert (exchange.status, exchange.json) == (200, "unknown cmd make_coffee")
    assert bench.request("").json == "unknown cmd "
    assert len(bench.open("x" * 5000).json) < 100
    assert bench.brain.counts["unknown-cmd"] == 3


def test_another_path_or_verb_is_plain_http(bench: Bench) -> None:
    """What is no call is 404 or 405, with or without a password."""
    assert bench.request("", path="/").status == 404
    assert bench.request("cmd=get_users", path="/cnf/").status == 404
    assert bench.request("", {}, path="/ui/en/sim.htm").status == 405


def test_a_stray_quotation_mark_is_no_part_of_a_value(bench: Bench) -> None:
    """The document's URLs end in one."""
    assert bench.request('cmd=get_dev_info"'.replace('"', "%22")).status == 200
    exchange = bench.request(f"cmd=enter_rfid&rfid={PIN}%22&dev_id=E1%22")
    assert exchange.json == "ok"


def test_a_form_is_read_as_json_too(bench: Bench) -> None:
    """The body of a curl is called a form unless told otherwise; it is JSON all the same."""
    headers = {**basic(bench.password), "Content-Type": "application/x-www-form-urlencoded"}
    exchange = bench.request("cmd=set_params", '{"title": "by form"}', headers)
    assert exchange.json == "ok"
    assert bench.params()["title"] == "by form"


def test_a_mistake_of_ours_is_logged_without_the_query(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure], log: StringIO
) -> None:
    """An exception is 500, and the log has no argument of the call."""
    query = "cmd=change_admin_pwd&old_pwd=SECRET1&new_pwd=SECRET2"
    with mistake(Password, "change", monkeypatch, logged_failures):
        exchange = bench.request(query, headers=basic(bench.password))
    assert (exchange.status, exchange.json) == (500, "internal error")
    assert "oh, the secret" in log.getvalue()
    assert "SECRET" not in log.getvalue()


# -- faults


def test_busy_and_an_http_status_do_not_act(bench: Bench) -> None:
    """503 and any other status come instead of the answer, and nothing is done."""
    for faults, status in (({"busy": True}, 503), ({"http_status": 418}, 418)):
        set_faults(bench, **faults)
        query = "cmd=modbus&device=evse&write=8093&value=100"
        assert bench.request(query, headers=basic(bench.password)).status == status
        assert bench.request("", path="/ui/en/sim.htm").status == status
    bench.faults.clear(CFOS)
    assert bench.register("8093") == 160
    assert (bench.brain.counts["busy"], bench.brain.counts["http-status"]) == (2, 2)


def test_drop_acts_and_cuts(bench: Bench) -> None:
    """What was told is done, and no answer comes."""
    set_faults(bench, drop=1.0)
    exchange = bench.request(
        "cmd=modbus&device=evse&write=8093&value=100", headers=basic(bench.password)
    )
    assert exchange.raw == b""
    assert exchange.transport.disconnecting
    bench.faults.clear(CFOS)
    assert bench.register("8093") == 100
    assert bench.brain.counts["cut"] == 1


def test_refuse_cuts_and_does_nothing(bench: Bench) -> None:
    """The connection ends before the call is read."""
    set_faults(bench, refuse=True)
    exchange = bench.request(
        "cmd=modbus&device=evse&write=8093&value=100", headers=basic(bench.password)
    )
    assert exchange.raw == b""
    bench.faults.clear(CFOS)
    assert bench.register("8093") == 160


def test_garbage_is_no_json(bench: Bench) -> None:
    """The call acts, and what comes cannot be decoded."""
    set_faults(bench, garbage=1.0)
    exchange = bench.open("get_dev_info")
    assert exchange.status == 200
    with pytest.raises(ValueError, match="utf-8"):
        json.loads(exchange.body)


def test_a_delay_holds_the_answer_back(bench: Bench) -> None:
    """It acts at once and answers later; a client that leaves meanwhile leaves nothing behind."""
    set_faults(bench, delay=2.0)
    exchange = bench.open("get_dev_info")
    bench.clock.advance(1.9)
    assert exchange.raw == b""
    bench.clock.advance(0.2)
    assert exchange.status == 200
    gone = bench.open("get_dev_info")
    gone.close()
    bench.clock.advance(5)


def test_half_an_answer_a_drip_and_frost(bench: Bench) -> None:
    """Half ends short of its length; a drip is whole in the end; what is frozen waits."""
    whole = bench.open("get_dev_info").body
    set_faults(bench, half=1.0)
    assert len(bench.open("get_dev_info").body) == len(whole) // 2
    set_faults(bench, drip=1000)
    slow = bench.open("get_dev_info")
    assert len(slow.body) == 100
    bench.clock.pump([0.1] * 100)
    assert len(slow.json["devices"]) == len(json.loads(whole)["devices"])
    set_faults(bench, frozen=True)
    exchange = bench.request(
        "cmd=modbus&device=evse&write=8093&value=100", headers=basic(bench.password)
    )
    bench.clock.pump([0.1] * 100)
    assert exchange.raw == b""
    bench.faults.clear(CFOS)
    assert bench.register("8093") == 160
    bench.clock.advance(0.1)
    assert bench.register("8093") == 100


def test_faults_are_asked_for_by_its_name(bench: Bench) -> None:
    """The real settings, not a stand-in: the defaults are no faults."""
    assert isinstance(bench.faults, Faults)
    assert bench.faults.of(CFOS) == FaultSettings()


# -- what is hostile

_NAMES = st.sampled_from(
    re.split(
        r"\s+",
        """device read write value values count dev_id flags mamps rfid val model import_wh
        voltage current state total_energy id name acc enable is_va power_w""",
    )
)
_VALUES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        re.split(
            " ",
            '8062d 8093 8044 all evse meter1 E1 E2 M3 -1 [1,[2]] 1e999 nan 8016s 65535 CcEeUu " {} '
            f"[] 1,2,3 {'9' * 900}",
        )
    ),
)
_COMMANDS = st.sampled_from([*Calls(Bench().brain.manager, Password("x")).known, "nonsense"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                re.split(
                    r"\s+",
                    """devices dev_id id rfids charging_rules users prio role soft_meter attach
                    max_charging_cur state current voltage power_w rfid title lb_enabled
                    disable_policy name""",
                )
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(
        st.tuples(_COMMANDS, st.dictionaries(_NAMES, _VALUES, max_size=5), _JSON, st.booleans()),
        max_size=4,
    )
)
def test_nothing_breaks_it(bench: Bench, calls: list[Any]) -> None:
    """Whatever is asked, the answer is JSON and 200 or 401, and it can be polled afterwards."""
    for cmd, args, body, as_admin in calls:
        sent = json.dumps(body) if body is not None else None
        headers = basic(bench.password) if as_admin else {}
        query = "&".join(
            f"{name}={''.join(f'%{byte:02X}' for byte in value.encode('utf-8', 'replace'))}"
            for name, value in {"cmd": cmd, **args}.items()
        )
        exchange = bench.request(query, sent, headers)
        assert exchange.status in {200, 401}, exchange.raw
        assert exchange.status == 200 or exchange.json == "wrong admin password"
        bench.run(2)
    info = decode_dev_info(bench.open("get_dev_info").body)
    assert not info.odd
    for device in ("evse", "meter1", "meter2"):
        assert bench.open("modbus", device=device, read="all").status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[" * 10_000,
        b"{" * 100,
        b'{"devices": [{"dev_id": "E1", "prio": ' + b"9" * 5000 + b"}]}",
        b'{"rfids": 5}',
        b"null",
    ],
)
def test_a_mad_body_is_told(bench: Bench, body: bytes) -> None:
    """Neither bytes that are no JSON nor JSON that is no message get further than a sentence."""
    for cmd in ("set_params", "set_device", "set_user", "set_ajax_evse"):
        exchange = bench.request(f"cmd={cmd}&dev_id=E2", body, basic(bench.password))
        assert exchange.status == 200
        assert isinstance(exchange.json, str | dict)
        assert exchange.json != "ok"


def test_a_body_that_is_too_long_is_refused(bench: Bench) -> None:
    """413, and nothing is kept of it."""
    exchange = bench.request("cmd=set_params", b" " * 300_000, basic(bench.password))
    assert exchange.status == 413


def test_users_and_variables_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller cannot fill the memory."""
    for n in range(100):
        assert bench.call("set_cm_vars", name=f"v{n}", val="1") == "ok"
    assert bench.call("set_cm_vars", name="one_more", val="1") == "too many variables"
    assert bench.call("set_cm_vars", name="v1", val="x" * 999) == "ok"
    assert len(bench.brain.manager.variables["v1"]) == 200
    monkeypatch.setattr("twisted_gantry.twin.faces.cfos.transactions.MAX_USERS", 1)
    assert bench.call("set_user", {"name": "one more"}) == "too many users"


@pytest.mark.parametrize("blanks", [" ", "   "])
def test_a_raw_blank_in_the_request_line_is_taken(bench: Bench, blanks: str) -> None:
    """The document's example `values=[7,230,230,230 ]` works as it is printed."""
    query = f"cmd=modbus&device=evse&write=8044&values=[7,230,{blanks}230,230{blanks}]"
    exchange = bench.request(query, headers=basic(bench.password))
    assert (exchange.status, exchange.json) == (200, "ok")


def test_another_broken_request_line_is_400(bench: Bench) -> None:
    """What is no request line stays none."""
    assert bench.request("x", path="cnf and more").status == 400
