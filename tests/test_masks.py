"""Secrets that a peer says back are masked in the log, states, points, alarms and results."""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import succeed
from twisted.logger import LogLevel

from tests.support import Bench, fired
from tests.web.remotecontrol.rig import Device, command_type
from twisted_gantry.config.load import load
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.door import Request
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.status import Status
from twisted_gantry.logs import MASKS, Masks, human_line, json_line
from twisted_gantry.wire.reading import Quality
from twisted_gantry.wire.secret import SHORTEST

SECRET = "kX7&pass/wörd"


def basic(user: str, secret: str = SECRET) -> str:
    return b64encode(f"{user}:{secret}".encode()).decode()


FORMS = [
    SECRET,
    quote(SECRET, safe=""),
    b64encode(SECRET.encode()).decode(),
    *(basic(user) for user in ("", "a", "ab", "admin")),
]


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    MASKS.set([SECRET])
    yield
    MASKS.set([])


@pytest.mark.parametrize("form", FORMS)
def test_no_sink_shows_a_secret(form: str) -> None:
    """Whatever form the peer says it in."""
    bench = Bench()
    said = f"401 for {form} you sent"
    shown: list[Any] = []

    status = Status("ups1", bench.clock.now)
    status.offline(said)
    shown.append(status.last_error)
    status.error(said)
    shown.append(status.last_error)

    bench.points.declare("ups1", [PointType("maker", "", "maker", "厂商")])
    bench.points.update("ups1", {"maker": (said, Quality.GOOD)})
    shown.append(bench.points["ups1.maker"].value)

    for _ in range(2):
        bench.alarms.set("ups1.odd", Severity.WARNING, said, said)
    [alarm] = bench.alarms.active("ups1")
    shown += [alarm.en, alarm.zh]

    device = Device(bench, "ups2", {"T": command_type()})
    device.answer = lambda: succeed(CommandResult(Outcome.FAILED, said, said))
    [result] = fired(bench.door.run(Request("ups2", "T", {}, "test", "1", True)))
    [[entry]] = fired(bench.store.audit(1))
    shown += [result.detail, result.value, entry.detail, entry.value]

    event = {"log_format": "{x}", "x": said, "log_level": LogLevel.info, "log_time": 1.0}
    shown += [human_line(event), json_line(event)]

    for text in shown:
        assert "***" in str(text), shown
        assert SECRET not in str(text)
        assert form not in str(text)


@given(st.text(min_size=6, max_size=30), st.text(max_size=9), st.text(max_size=9))
def test_base64_is_found_wherever_it_begins(secret: str, before: str, behind: str) -> None:
    """The letters that depend on the secret alone are masked."""
    secret = secret.encode("utf-8", "ignore").decode()
    masks = Masks()
    masks.set([secret])
    encoded = b64encode((before + secret + behind).encode("utf-8", "ignore")).decode()
    if len(secret) >= SHORTEST:
        assert "***" in masks.masked(encoded)


def test_short_secrets_mask_no_ordinary_text() -> None:
    """A password of four digits is masked by the driver of its device alone."""
    masks = Masks()
    masks.set(["1234", ""])
    assert masks.masked("port 12345") == "port 12345"


def test_every_secret_of_a_configuration_is_known() -> None:
    """Secrets of the web, of devices and of uplinks; the code of the test period is none."""
    settings = load(
        """
[gantry]
id = "G1"
[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:127.0.0.1:2390"
password = "card-pass"
[[device]]
name = "cab1"
kind = "cabinet"
url = "http://127.0.0.1/remotecontrol.do"
auth = "cabinet-code"
[[cabinet]]
id = "1"
doors = "cab1"
[uplink.etc]
url = "http://127.0.0.1/monitor.do"
auth = "123456"
allow_test_auth = true
[monitor]
listen = "tcp:8082"
auth = "monitor-code"
[web]
password = "web-password"
token = "web-token"
"""
    )
    card, cabinet, monitor = "card-pass", "cabinet-code", "monitor-code"
    assert set(settings.secrets()) == {card, cabinet, monitor, "web-password", "web-token"}


def test_a_line_of_json_stays_one() -> None:
    """A mask breaks no JSON."""
    event = {"log_format": "{x}", "x": SECRET, "log_level": LogLevel.info, "log_time": 1.0}
    assert json.loads(json_line(event))["message"] == "***"
