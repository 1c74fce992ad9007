"""Notifications wired to the alarms, the store and the API of a site, over real sockets."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.http_client import Client, now_of
from tests.notify.kinds.servers import Receiver, receiving
from tests.web.small_site import SmallSite, small_site
from twisted_gantry.config.load import load
from twisted_gantry.core.alarms import Severity
from twisted_gantry.daemon.called import REMOVED, Notifications
from twisted_gantry.net.service import ServiceGroup

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING


class Desk:
    """A small site with the targets of a configuration."""

    def __init__(self, small: SmallSite) -> None:
        self.small, self.site = small, small.site
        self.notifications = Notifications(
            small.site, reactor, small.now, lambda: 0.0, lambda *_: None
        )
        self.group = ServiceGroup()

    def configure(self, text: str) -> None:
        settings = load(f"[gantry]\nid = 'G1'\nname = 'North'\n{text}", "site.toml")
        self.group.add(self.notifications.left_off([each.name for each in settings.notify]))
        for entry in settings.notify:
            service, _ = self.notifications.make(settings.gantry, entry)
            self.group.add(service)
        self.group.startService()

    async def until(self, done: Any) -> None:
        """Wait until something is so."""
        for _ in range(4000):
            if done():
                return
            await deferLater(reactor, 0.005)
        raise AssertionError("it does not happen")

    async def stop(self) -> None:
        """Stop."""
        await self.group.stopService()
        self.notifications.stop()
        await deferLater(reactor, 0.01)  # connections are gone


@asynccontextmanager
async def desk(small: SmallSite, text: str) -> AsyncIterator[Desk]:
    made = Desk(small)
    made.configure(text)
    try:
        yield made
    finally:
        await made.stop()


@pytest.fixture
def small() -> Iterator[SmallSite]:
    made = small_site()
    yield made
    made.site.alarms.stop()


def hook(port: int, name: str = "duty", more: str = "") -> str:
    url = f"http://127.0.0.1:{port}/{name}?key=hunter2-key"
    return f'[[notify]]\nname = "{name}"\nkind = "webhook"\nurl = "{url}"\n{more}\n'


def events(receiver: Receiver) -> list[tuple[str, list[str]]]:
    bodies = [json.loads(each) for each in receiver.bodies]
    return [(each["event"], [alarm["alarm"] for alarm in each["alarms"]]) for each in bodies]


async def test_an_alarm_reaches_the_receiver(small: SmallSite) -> None:
    """All alarms of one turn are one message, folded by the causes of the site."""
    async with receiving() as (receiver, port), desk(small, hook(port)) as made:
        alarms = small.site.alarms
        alarms.set("ups1.on-battery", WARNING, "on battery", "电池供电")
        alarms.set("ups1.mains-abnormal", CRITICAL, "mains abnormal", "市电异常")
        await made.until(lambda: made.site.notify["duty"].last_delivered)
        assert events(receiver) == [("raised", ["ups1.mains-abnormal"])]
        [alarm] = json.loads(receiver.bodies[0])["alarms"]
        assert alarm["consequences"] == ["ups1.on-battery"]
        assert alarm["messageZh"] == "市电异常"
        shown = Client(small.resource()).get("/api/v1/site").json["notify"]
        [target] = shown
        assert (target["name"], target["kind"], target["state"]) == ("duty", "webhook", "online")
        assert target["ledger"]["created"] == target["ledger"]["delivered"] == 1
        assert "hunter2" not in json.dumps(shown)
        told = {each["alarm"]: each["called"] for each in alarms_of(small)}
        assert [each["target"] for each in told["ups1.mains-abnormal"]] == ["duty"]
        assert told["ups1.mains-abnormal"][0]["at"]
        assert told["ups1.on-battery"] == []  # its cause was told
        alarms.clear("ups1.mains-abnormal")
        stored = await alarms.history(0, small.now(), 9)
        ended = next(each for each in stored if each.name == "ups1.mains-abnormal")
        assert (ended.active, [whom for whom, _ in ended.called]) == (False, ["duty"])


def alarms_of(small: SmallSite) -> Any:
    return Client(small.resource()).get("/api/v1/alarms?active=1").json["alarms"]


async def test_shelved_alarms_are_not_told(small: SmallSite) -> None:
    """A shelved alarm and one under maintenance are not told; smoke is, whatever people set."""
    async with receiving() as (receiver, port), desk(small, hook(port)) as made:
        alarms = small.site.alarms
        alarms.maintain("ups1", 3600, "me")
        alarms.set("ups1.overload", CRITICAL, "overload", "过载")
        alarms.set("ups1.smoke", CRITICAL, "smoke", "烟雾")
        await made.until(lambda: receiver.bodies)
        await deferLater(reactor, 0.02)
        assert events(receiver) == [("raised", ["ups1.smoke"])]
        alarms.end_maintenance("ups1")
        await made.until(lambda: len(receiver.bodies) > 1)
        assert events(receiver)[1:] == [("raised", ["ups1.overload"])]


async def test_a_target_that_is_removed(small: SmallSite) -> None:
    """The message of a target that is gone is set aside for a person, and its state forgotten."""
    async with receiving() as (receiver, port):
        receiver.status = 503
        async with desk(small, hook(port)) as made:
            small.site.alarms.set("ups1.overload", CRITICAL, "overload", "过载")
            await made.until(lambda: made.site.notify["duty"].status.last_error)
            error = made.site.notify["duty"].status.last_error
            assert error == f'127.0.0.1:{port} answers HTTP 503: {{"errcode":0,"errmsg":"ok"}}'
        small.site.notify.clear()
        receiver.status = 200
        async with desk(small, hook(port, "other")) as made:
            await made.until(lambda: receiver.bodies)
        [left] = now_of(small.site.store.reports("notify.duty", None, 10))
        assert (left.state, left.reason) == ("set-aside", REMOVED)
        assert set(now_of(small.site.store.settings())) == {"notify.other"}
        ledger = now_of(small.site.store.ledger("notify.duty"))
        assert (ledger.created, ledger.set_aside) == (1, 1)


async def test_a_test_over_the_api(small: SmallSite) -> None:
    """The outcome comes with its reason; the audit has who asked; an unknown target is 404."""
    async with receiving() as (receiver, port), desk(small, hook(port)) as made:
        client = Client(small.resource())
        answers = []
        for status in (200, 500):
            receiver.status = status
            exchange = client.send("POST", "/api/v1/notify/test", {"name": "duty"})
            await made.until(lambda each=exchange: each.answered)
            answers.append(exchange.ended().json)
        reason = f'127.0.0.1:{port} answers HTTP 500: {{"errcode":0,"errmsg":"ok"}}'
        assert answers == [
            {"name": "duty", "result": "done", "detail": None},
            {"name": "duty", "result": "failed", "detail": reason},
        ]
        assert events(receiver) == [("raised", ["notify.test"])] * 2
        entries = client.get("/api/v1/audit").json["entries"]
        assert [(e["target"], e["command"], e["result"]) for e in entries] == [
            ("notify.duty", "test", "failed"),
            ("notify.duty", "test", "done"),
        ]
        answer = client.post("/api/v1/notify/test", {"name": "boss"})
        assert (answer.status, answer.error) == (404, "no-such-target")
        assert "there are: duty" in answer.body.decode()
        assert client.get("/healthz").json["notes"] == ["notify.duty is offline"]
        assert (
            'gantry_notify_up{kind="webhook",target="duty"} 0.0'
            in client.get("/metrics").body.decode()
        )


async def test_two_targets_that_fail_do_not_ring_each_other(small: SmallSite) -> None:
    """The alarm about a target goes to the other one alone."""
    async with (
        receiving() as (receiver, port),
        desk(small, hook(port) + hook(port, "boss")) as made,
    ):
        alarm = "notify.duty.failing"
        small.site.alarms.set(alarm, WARNING, "duty does not take messages", "无法送达")
        await made.until(lambda: receiver.bodies)
        await deferLater(reactor, 0.02)
        assert events(receiver) == [("raised", [alarm])]
        assert receiver.requests[0].path == b"/boss"
