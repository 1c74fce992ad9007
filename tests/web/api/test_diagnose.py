"""`/api/v1/diagnose`: who may ask, what is told, and that one runs at a time."""

from twisted.internet.defer import Deferred

from tests.http_client import Client
from tests.web.small_site import SmallSite
from twisted_gantry.core.diagnosis import Diagnoses
from twisted_gantry.net.outage import WORDS, Cause, Outage, outage

PATH = "/api/v1/diagnose"


def _client(small: SmallSite) -> Client:
    return Client(small.resource(diagnoses=Diagnoses(small.clock, small.now)))


def test_the_steps_and_their_end(small: SmallSite) -> None:
    """A diagnosis that runs shows its steps; at its end it has the cause and the next step."""
    client = _client(small)
    assert client.get(f"{PATH}?name=ups1").status == 404
    answer = client.post(PATH, {"name": "ups1", "wait": False})
    assert answer.status == 200
    assert (answer.json["ended"], answer.json["ok"]) == (False, None)
    assert [each["outcome"] for each in answer.json["steps"]] == ["running"]
    again = client.post(PATH, {"name": "ups1", "wait": False})
    assert again.json["beganAt"] == answer.json["beganAt"]
    small.ups.status.offline(outage(Cause.BUSY))
    found = client.get(f"{PATH}?name=ups1").json
    assert (found["ended"], found["ok"], found["cause"]) == (True, False, "busy")
    [step] = found["steps"]
    assert (step["step"], step["outcome"], step["cause"]) == ("exchange", "failed", "busy")
    assert (step["message"], step["messageZh"]) == WORDS[Cause.BUSY][:2]
    assert (step["advice"], step["adviceZh"]) == WORDS[Cause.BUSY][2:]


def test_the_answer_waits(small: SmallSite) -> None:
    """Without `wait: false` the answer comes at the end."""
    answered: Deferred[Outage | None] = Deferred()
    small.ups.attempt = lambda: answered  # type: ignore[attr-defined]
    answered.callback(None)
    answer = _client(small).post(PATH, {"name": "ups1"})
    assert (answer.json["ended"], answer.json["ok"], answer.json["cause"]) == (True, True, None)


def test_unknown_names(small: SmallSite) -> None:
    """A name that the site lacks is not found."""
    client = _client(small)
    assert client.post(PATH, {"name": "nothing"}).status == 404
    assert client.get(f"{PATH}?name=nothing").status == 404
