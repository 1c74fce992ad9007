"""Several platforms that may command: each is told by its code, and steers its own uplink."""

from typing import Any

import pytest

from tests.support import fired
from tests.web.remotecontrol.rig import AUTH, RemoteRig, Uplink
from twisted_gantry.core.interfaces import Subject
from twisted_gantry.web.remotecontrol.endpoint import Commander
from twisted_gantry.wire.etc.envelope import Method, signed_headers
from twisted_gantry.wire.secret import Secret

OTHER = "the-code-of-the-province"


class TwoPlatforms(RemoteRig):
    """A second platform, `province`, with a code and an uplink of its own."""

    def commanders(self) -> list[Commander]:
        self.province = Uplink(self.bench, "province")
        home = "https://province.example/monitor.do"
        second = Commander(Secret(OTHER), self.province, "province", home)
        return [*super().commanders(), second]

    def say(self, code: str, **fields: Any) -> str:
        body = self.body(Method.CABINET_CONTROL, fields)
        answer = self.send(body, signed_headers(body, code)).ended()
        return str(answer.json["code"])


@pytest.fixture
def rig() -> TwoPlatforms:
    return TwoPlatforms()


def test_each_steers_its_own_uplink(rig: TwoPlatforms) -> None:
    """`setFrequency` of a platform changes the period of the reports to that platform alone."""
    assert rig.say(OTHER, setFrequency="60") == "1000"
    assert rig.province.steered == [("period", Subject.CABINETS, 60.0)]
    assert rig.uplink.steered == []
    assert rig.say(AUTH, setFrequency="90") == "1000"
    assert rig.uplink.steered == [("period", Subject.CABINETS, 90.0)]
    assert len(rig.province.steered) == 1


def test_no_platform_moves_the_reports_of_another(rig: TwoPlatforms) -> None:
    """`setServer` takes the host of the platform that asks, and no other's."""
    assert rig.say(OTHER, setServer="province.example/new.do") == "1000"
    assert rig.say(OTHER, setServer="platform.example/new.do") == "1007"
    assert rig.say(AUTH, setServer="province.example/new.do") == "1007"
    assert rig.uplink.steered == []


def test_the_same_body_of_two_platforms_is_two_requests(rig: TwoPlatforms) -> None:
    """Bytes that are equal by chance are no repetition; those of one platform are."""
    for _ in range(2):
        assert rig.say(OTHER, setFrequency="60") == "1000"
        assert rig.say(AUTH, setFrequency="60") == "1000"
    assert len(rig.province.steered) == len(rig.uplink.steered) == 1


def test_the_audit_names_the_platform(rig: TwoPlatforms) -> None:
    """What was asked by whom."""
    rig.say(OTHER, updateNow="1")
    rig.say(AUTH, updateNow="1")
    [entries] = fired(rig.bench.store.audit(10))
    assert [each.who.split()[-1] for each in entries] == ["etc", "province"]


@pytest.mark.parametrize("code", ["", "wrong", AUTH + OTHER])
def test_any_other_code_is_refused(rig: TwoPlatforms, code: str) -> None:
    """A platform that may not command is told so, as a stranger is."""
    assert rig.say(code, updateNow="1") == "1001"
    assert rig.province.steered == rig.uplink.steered == []
