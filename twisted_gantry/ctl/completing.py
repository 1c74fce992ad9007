"""Shell completion: names of the running gantry, if it answers in time; else nothing.

An error would spoil the line that is being typed.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from twisted_gantry.ctl.client import Api
from twisted_gantry.ctl.errors import Trouble
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.session import Session
from twisted_gantry.ctl.texts.catalogue import Texts, texts_for
from twisted_gantry.wire import local_api

PATIENCE = 1.0  # seconds for the answer

_Names = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _session(context: click.Context) -> Session:
    """Return a session made of the group's options: the group itself was not run."""
    given = context.find_root().params

    def path(name: str) -> Path | None:
        return Path(given[name]) if given.get(name) else None

    texts, url = texts_for(given.get("lang")), given.get("url") or ""
    files = path("password_file"), path("token_file")
    return Session(texts, url, PATIENCE, *files, account=given.get("account") or "")


def _items(named: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(n, help=what or None) for n, what in named if n.startswith(incomplete)]


def _completion(find: Callable[[Api, Texts, str], Iterable[tuple[str, str]]]) -> _Names:
    """Return a completion of the names that `find` yields, each with its description."""

    def complete(
        context: click.Context, _: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        session = _session(context)
        try:
            return _items(find(session.api, session.texts, incomplete), incomplete)
        except Trouble:
            return []

    return complete


@_completion
def points(api: Api, texts: Texts, incomplete: str) -> Iterable[tuple[str, str]]:
    answer = api.get("/api/v1/points", {"prefix": incomplete or None})
    for point in answer.fit(local_api.Points).points:
        yield point.point, texts.pick(point.label.en, point.label.zh)


@_completion
def uplinks(api: Api, *_: object) -> Iterable[tuple[str, str]]:
    for uplink in api.get("/api/v1/site").fit(local_api.SiteView).uplinks:
        yield uplink.name, ""


@_completion
def targets(api: Api, *_: object) -> Iterable[tuple[str, str]]:
    for target in api.get("/api/v1/site").fit(local_api.SiteView).notify:
        yield target.name, target.kind


@_completion
def alarms(api: Api, texts: Texts, incomplete: str) -> Iterable[tuple[str, str]]:
    for alarm in api.get("/api/v1/alarms", {"active": 1}).fit(local_api.AlarmList).alarms:
        yield alarm.alarm, texts.pick(alarm.message, alarm.message_zh)


@_completion
def devices_and_uplinks(api: Api, *_: object) -> Iterable[tuple[str, str]]:
    site = api.get("/api/v1/site").fit(local_api.SiteView)
    return [
        *((each.name, each.kind) for each in site.devices),
        *((each.name, each.kind) for each in site.uplinks),
    ]


@_completion
def devices(api: Api, *_: object) -> Iterable[tuple[str, str]]:
    for device in api.get("/api/v1/site").fit(local_api.SiteView).devices:
        yield device.name, device.kind


def _devices(api: Api) -> list[local_api.DeviceCommands]:
    answer = api.get("/api/v1/commands")
    return answer.fit(local_api.CommandList).devices


def words(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    given = _given(context)
    session = _session(context)
    try:
        devices = _devices(session.api) if len(given) < 2 else []
    except Trouble:
        return []
    if not given:
        return _items(((each.target, "") for each in devices if each.commands), incomplete)
    found = [info for each in devices if each.target == given[0] for info in each.commands]
    return _items(((i.command, session.texts.pick(i.en, i.zh)) for i in found), incomplete)


def _given(context: click.Context) -> list[str]:
    return list(context.params.get("words") or ())


class DeviceCommand(Command):
    """`gantryctl command`: its options include the arguments of the device's command."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        target, command = (*_given(ctx), "", "")[:2]
        items: list[CompletionItem] = []
        if target and command:
            try:
                devices = _devices(_session(ctx).api)
            except Trouble:
                devices = []
            for info in (i for d in devices if d.target == target for i in d.commands):
                if info.command == command:
                    named = ((f"--{each.name}", each.type) for each in info.arguments)
                    items += _items(named, incomplete)
        return items + super().shell_complete(ctx, incomplete)
