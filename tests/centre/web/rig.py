"""A centre in memory with its web, and clients that are different people."""

import base64
from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from tests.centre.control.rig import CentreRig
from tests.http_client import Answer, Client, Exchange
from tests.support import in_no_thread
from twisted_gantry.access.people import Person, Role, User
from twisted_gantry.centre.control.cards import CardLists
from twisted_gantry.centre.control.pictures import Pictures
from twisted_gantry.centre.web.root import BODY, CentreParts, Entrance, centre_web
from twisted_gantry.net.http.server import Limits
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import ManualClock
from twisted_gantry.wire.secret import Secret

ZONE = "Asia/Shanghai"
API = "/api/v1"


def user(name: str, role: Role = Role.ADMIN, roads: Sequence[str] | None = None) -> User:
    """Return a user whose password is the name."""
    scope = None if roads is None else frozenset(roads)
    return User(Person(name, role, scope), Secret(name))


USERS = (
    user("root"),
    user("otto", Role.OPERATOR),
    user("vera", Role.VIEWER),
    user("gao", Role.ADMIN, ["G2"]),
)
"""`gao` is kept to the road G2."""


class WebRig:
    """The web of a centre over `store`; without `users` nobody is asked for a password."""

    def __init__(
        self, store: InlineStore, clock: ManualClock, users: Sequence[User] = (), **more: Any
    ) -> None:
        self.store, self.clock = store, clock
        self.desk = CentreRig(store, clock, 0)
        numbers = count(1)
        parts = CentreParts(
            store=store,
            sealing=self.desk.sealing,
            desk=self.desk.desk,
            cards=CardLists(store, ZoneInfo(ZONE), clock.now, in_no_thread),
            pictures=Pictures(
                store, self.desk.sealing, self.desk.channels(), ZoneInfo(ZONE), clock.now
            ),
            clock=clock,
            now=clock.now,
            token=lambda: f"{next(numbers):x}",
            in_thread=in_no_thread,
            name="Shandong",
            version="1.2.3",
            **more,
        )
        self.counts: dict[str, Counter[str]] = {}
        web = centre_web(parts, Entrance(users=users, hashing=in_no_thread), self.counts)
        self.streams = web.streams
        self.client = Client(web.resource, clock, Limits(body=BODY))

    def send(
        self, method: str, path: str, body: object = b"", who: str = "", **headers: str
    ) -> Exchange:
        """Send a request as `who`, whose password is the name."""
        if who:
            given = base64.b64encode(f"{who}:{who}".encode()).decode()
            headers["Authorization"] = f"Basic {given}"
        return self.client.send(method, path, body, **headers)

    def ask(
        self, method: str, path: str, body: object = b"", who: str = "", **headers: str
    ) -> Answer:
        """Send a request below the API, and return the answer."""
        return self.send(method, API + path, body, who, **headers).ended()

    def get(self, path: str, who: str = "") -> Any:
        """Return the content of an answer, which is 200."""
        answer = self.ask("GET", path, who=who)
        assert answer.status == 200, answer.body
        return answer.json

    def put(self, gantry: str, who: str = "", **entry: Any) -> Any:
        answer = self.ask("PUT", f"/gantries/{gantry}", entry, who)
        assert answer.status == 200, answer.body
        return answer.json
