"""Two workers in processes of their own, over PostgreSQL: one is killed while people wait."""

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred
from twisted.internet.endpoints import serverFromString
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.centre import postgres
from tests.centre.centre_process import CentreProcess
from tests.centre.test_reading import CABINET, SAMPLE, sample
from tests.daemon.process import free_port, until
from twisted_gantry.centre.store.leases import LEASE
from twisted_gantry.wire.etc.envelope import digest, encode_request

GANTRY, CODE = "G000211001002110010", "kX7-secret-code"


class Webhook(Resource):
    """Notes the messages that people would get."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.got: list[dict[str, Any]] = []

    def render_POST(self, request: Request) -> bytes:
        content: Any = request.content
        self.got.append(json.loads(content.read()))
        return b""

    def told(self) -> list[tuple[str, str]]:
        return [(each["event"], each["alarms"][0]["message"]) for each in self.got]


class Platform:
    """A front and two workers over one database, and a webhook."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        self.reactor, self.hook = reactor, Webhook()
        self.url, port = postgres.new_database(), free_port()
        more = f"""
[store]
url = "{self.url}"
key = "{folder / "centre.key"}"
[[notify]]
name = "duty"
kind = "webhook"
language = "en"
url = "http://127.0.0.1:{port}/"
"""
        self.front, self.one, self.two = (
            CentreProcess(folder / name, reactor, more, "--role", role)
            for name, role in (("front", "front"), ("one", "worker"), ("two", "worker"))
        )
        self.listening: Any = serverFromString(reactor, f"tcp:{port}:interface=127.0.0.1")
        self.site: Any = Site(self.hook, timeout=None)

    async def start(self) -> None:
        self.listening = await self.listening.listen(self.site)
        for each in (self.front, self.one, self.two):
            each.start()
            await until(self.reactor, "a process", partial(each.get, "overview"))

    async def report(self, fields: Any) -> None:
        body = encode_request(GANTRY, CABINET, time.time(), fields)
        headers = {"binfile-auth": CODE, "binfile-md5": digest(body)}
        url = f"http://127.0.0.1:{self.front.monitor}/monitor.do"

        async def taken() -> bool:
            return "1000" in str(await self.front.client.post(url, body, headers))

        await until(self.reactor, "the acknowledgement", taken)

    def delivered(self) -> int:
        """Return how many messages the database has as delivered."""
        with psycopg.connect(self.url) as db:
            [(found,)] = db.execute("SELECT sum(delivered) FROM notify_targets").fetchall()
            return int(found)

    async def close(self) -> None:
        for each in (self.front, self.one, self.two):
            await each.close()
        await self.listening.stopListening()
        postgres.drop_database(self.url)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    from twisted.internet import reactor

    made = Platform(tmp_path, reactor)
    try:
        yield made
    finally:
        pytest_twisted.blockon(ensureDeferred(made.close()))


@pytest.mark.long
async def test_people_are_called_once_whoever_is_killed(platform: Platform) -> None:
    """The worker that calls is killed after its call; the other one tells the end, and no more."""
    reactor, hook = platform.reactor, platform.hook
    await platform.start()
    entry = {"name": "North", "road": "G2", "section": "A", "auth": CODE}
    await platform.one.send("PUT", f"gantries/{GANTRY}", entry)
    await platform.report(sample("elec", "status", "False"))
    await until(reactor, "the call", lambda: hook.got)
    [(event, text)] = hook.told()
    assert (event, text) == ("raised", f"G2 North ({GANTRY}): mains abnormal")

    # A worker that is killed before that leaves the message to be sent again, with its id.
    await until(reactor, "the delivery in the database", platform.delivered)

    calling, other = platform.one, platform.two
    assert platform.one.daemon is not None
    if "duty notify is done here" not in platform.one.daemon.text:
        calling, other = other, calling
    assert calling.daemon is not None
    calling.daemon.kill()
    await platform.report(SAMPLE)
    await until(reactor, "the end of the alarm", lambda: len(hook.got) > 1, LEASE * 2 + 10)
    assert [event for event, _ in hook.told()] == ["raised", "cleared"], hook.got
    assert hook.got[1]["alarms"][0]["alarm"] == hook.got[0]["alarms"][0]["alarm"]

    async def over() -> bool:  # another duty, which is taken over by itself
        overview = await other.get("overview")
        return bool(overview) and overview["incidents"] == 0

    await until(reactor, "the end of the incident", over, LEASE * 2 + 10)
