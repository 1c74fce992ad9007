"""`GET /api/v1/interlocks`: what watches what, and where each stands, with why."""

from twisted.internet.defer import succeed

from tests.http_client import Client
from tests.web.small_site import SmallSite
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.condition import Condition
from twisted_gantry.core.interlocks.rules import Action, Interlock
from twisted_gantry.core.interlocks.watches import Interlocks
from twisted_gantry.wire.reading import Quality

DARK = Interlock(
    "dark",
    Condition.parse("ups1.mains_abnormal"),
    5.0,
    Action("ups1", "set-password", {"new": "1234"}),
    Action("ups1", "BZOFF"),
)


def test_where_an_interlock_stands(small: SmallSite, client: Client) -> None:
    """At rest, in force, and why one could not act; arguments may be secret, and are not told."""
    assert client.get("/api/v1/interlocks").json == {"interlocks": []}
    site = small.site
    made = Interlocks([DARK], site.points, site.door, site.alarms, site.store, small.clock)
    site.interlocks = made
    made.start()
    [found] = client.get("/api/v1/interlocks").json["interlocks"]
    assert found == {
        "name": "dark",
        "when": "ups1.mains_abnormal",
        "point": "ups1.mains_abnormal",
        "delay": 5.0,
        "target": "ups1",
        "does": "set-password",
        "undoesOn": "ups1",
        "undoes": "BZOFF",
        "state": "idle",
        "why": None,
        "whyZh": None,
    }
    small.ups.answer = lambda: succeed(CommandResult(Outcome.FAILED, "the card is busy"))
    site.points.update("ups1", {"mains_abnormal": (True, Quality.GOOD)})
    small.clock.advance(5)
    answer = client.get("/api/v1/interlocks")
    [found] = answer.json["interlocks"]
    assert found["state"] == "waiting"
    assert "the card is busy" in found["why"]
    assert found["whyZh"].startswith("联动 dark 未能执行")
    assert b"1234" not in answer.body
    small.ups.answer = lambda: succeed(CommandResult(Outcome.DONE))
    small.clock.advance(60)
    [found] = client.get("/api/v1/interlocks").json["interlocks"]
    assert (found["state"], found["why"]) == ("in-force", None)
    made.stop()


def test_a_condition_as_it_was_written() -> None:
    """The text of a condition reads as a configuration says it."""
    for text in ("ups1.mains_abnormal", "ups1.load < 30.5", "a.state == battery", "a.b == false"):
        condition = Condition.parse(text)
        assert condition.text == text
        assert Condition.parse(condition.text) == condition
