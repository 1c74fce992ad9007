"""Whose results count: the address of the card, and a session that nobody can guess."""

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import Clock

from tests.devices.upscard.rigs import HTTP, IN_MEMORY, LIVE, HttpScript, ScriptRig, outcome
from tests.support import Bench
from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.core.interfaces import WrongSetting
from twisted_gantry.core.status import State
from twisted_gantry.devices.upscard.http import UpsCardHttpSettings, kind
from twisted_gantry.devices.upscard.sources import REFRESH_S, Sources
from twisted_gantry.wire.upscard.messages import Result


class Resolver:
    """Answers look-ups with `addresses`."""

    def __init__(self, *addresses: str) -> None:
        self.addresses, self.asked = list(addresses), list[str]()

    def resolveHostName(self, receiver: Any, name: str) -> None:
        self.asked.append(name)
        receiver.resolutionBegan(None)
        for each in self.addresses:
            make = IPv6Address if ":" in each else IPv4Address
            receiver.addressResolved(make("TCP", each, 0))
        receiver.resolutionComplete()


class LookingClock(Clock):
    nameResolver = Resolver("192.0.2.7", "2001:db8::7")


def test_an_address_is_itself() -> None:
    """A card with an address in its URL calls back from that address, mapped or not."""
    sources = Sources("192.0.2.7", (), Clock())
    sources.refresh()
    assert [h in sources for h in ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8")] == [1, 1, 0]
    assert "2001:db8::7" in Sources("2001:db8:0::7", (), Clock())


def test_a_name_is_looked_up() -> None:
    """The addresses of a name count, once they are known, and again after a minute."""
    clock: Any = LookingClock()
    resolver = clock.nameResolver
    sources = Sources("card.example", (), clock)
    assert "192.0.2.7" not in sources
    sources.refresh()
    sources.refresh()
    assert resolver.asked == ["card.example"]
    assert "192.0.2.7" in sources
    assert "2001:db8::7" in sources
    resolver.addresses = ["192.0.2.9"]
    clock.advance(REFRESH_S)
    sources.refresh()
    assert ("192.0.2.7" in sources, "192.0.2.9" in sources) == (False, True)
    resolver.addresses = []
    clock.advance(REFRESH_S)
    sources.refresh()
    assert "192.0.2.9" in sources


def test_what_is_given_counts_instead() -> None:
    """Behind a router, `callback_from` names where the results come from."""
    sources = Sources("192.0.2.7", ["198.51.100.1", "10.0.0.0/8"], Clock())
    sources.refresh()
    found = [h in sources for h in ("198.51.100.1", "10.9.9.9", "192.0.2.7")]
    assert found == [True, True, False]


@pytest.mark.parametrize("given", ["router.example", ["10.0.0.0/33"]])
def test_a_wrong_setting(given: Any) -> None:
    """A source that is no network is a mistake of the configuration."""
    settings = UpsCardHttpSettings(
        url="http://192.0.2.7/", callback="http://192.0.2.1:9000/", callback_from=given
    )
    with pytest.raises(WrongSetting) as wrong:
        kind.build("ups1", settings, Bench().context)
    assert wrong.value.key == "callback_from"


@pytest.fixture
def rig() -> Iterator[ScriptRig]:
    made = ScriptRig(HTTP)
    yield made
    made.stop()


def bare(rig: ScriptRig) -> HttpScript:
    script = rig.script
    assert isinstance(script, HttpScript)
    script.answers.update(RTD=None, QAD=None)
    return script


def reply(command: dict[str, Any], session: str, value: str = LIVE) -> bytes:
    return Result(uid="1", session=session, cmd=command["cmd"], value=value).encode()


def sessions(script: HttpScript) -> list[int]:
    """Return the lengths of the session numbers that the card got."""
    return [len(each["session"]) for each in script.received]


def test_a_card_that_cuts_the_session_gets_short_ones(rig: ScriptRig) -> None:
    """One query is tried with 32 digits; the card that does not echo them gets eight from then."""
    script = bare(rig)

    def cut(command: dict[str, Any]) -> None:
        script.caller.send(reply(command, command["session"][:8]))

    script.answers.update(RTD=cut, QAD=cut, BZON=cut)
    rig.start(10.0)
    assert rig.state() is State.ONLINE
    assert sessions(script)[0] == 32
    assert set(sessions(script)[1:]) == {8}


def test_a_control_is_not_tried(rig: ScriptRig) -> None:
    """Before it is known what the card echoes, a control has a number that each card takes."""
    script = bare(rig)

    def done(command: dict[str, Any]) -> None:
        script.caller.send(reply(command, command["session"][:8], "(OK"))

    script.answers["BZON"] = done
    rig.start(0.1)
    results = rig.command("BZON")
    rig.clock.run(4.0)
    assert outcome(results).result is Outcome.DONE


def test_a_foreign_result_does_not_end_the_exchange(rig: ScriptRig) -> None:
    """A forged mains failure with the right uid and session, from another host, changes nothing."""
    script = bare(rig)
    rig.start(0.5)
    [command] = script.received
    rig.sources.found(["192.0.2.7"])
    forged = reply(command, command["session"], LIVE.replace("220.1", "000.0"))
    script.caller.send(forged)
    rig.clock.run(0.1)
    assert script.caller.statuses == [403]
    assert rig.callbacks.counts["foreign-source"] == 1
    assert rig.link.session.in_flight
    rig.sources.found([IN_MEMORY])
    script.caller.send(reply(command, command["session"]))
    rig.clock.run(0.1)
    assert script.caller.statuses == [403, 200]
