"""The webhook of the twin: it keeps what came, and verifies the signatures."""

import json
from typing import Any

from tests.twin.helpers import NOW
from tests.twin.test_control import Bench
from twisted_gantry.twin.notifications import KEPT, TOLERANCE
from twisted_gantry.wire.notification import SIGNATURE, TIMESTAMP, signature

PATH = "/notifications"


def post(bench: Bench, body: Any, secret: str = "s3cret-key", off: float = 0.0) -> int:
    """Send a notification, signed with a secret or not at all."""
    raw, timestamp = json.dumps(body).encode(), str(int(NOW + off))
    headers = {}
    if secret:
        headers = {TIMESTAMP: timestamp, SIGNATURE: signature(secret, timestamp, raw)}
    return bench.call("POST", PATH, raw, **headers).status


def test_what_came_is_shown() -> None:
    """The newest stands first, each with its signature and whether its id came before."""
    bench = Bench()
    assert post(bench, {"id": "1", "event": "raised"}) == 200
    assert post(bench, {"id": "1", "event": "raised"}, "other") == 200
    assert post(bench, {"id": "2"}, "") == 200
    assert post(bench, [], off=TOLERANCE + 2) == 200
    shown = bench.call("GET", PATH).json["notifications"]
    assert [(each["signature"], each["duplicate"]) for each in shown] == [
        ("stale", False),
        ("missing", False),
        ("wrong", True),
        ("good", False),
    ]
    assert shown[-1]["body"] == {"id": "1", "event": "raised"}
    assert bench.call("GET", f"{PATH}?limit=1").json["notifications"] == shown[:1]
    counts = bench.call("GET", "/counts").json["notify"]
    assert counts == {"received": 4, "duplicates": 1}


def test_what_came_can_be_forgotten() -> None:
    """DELETE begins anew; what is no JSON is refused; the list is bounded."""
    bench = Bench()
    assert bench.error("POST", PATH, b"no JSON") == (400, "bad-json")
    for number in range(KEPT + 5):
        post(bench, {"id": str(number)})
    shown = bench.call("GET", f"{PATH}?limit={KEPT}").json["notifications"]
    assert (len(shown), shown[-1]["body"]["id"]) == (KEPT, "5")
    assert bench.call("DELETE", PATH).json == {"notifications": []}
    assert bench.call("GET", PATH).json == {"notifications": []}
