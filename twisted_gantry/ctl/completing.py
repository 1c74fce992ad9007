"""What a shell completes: names of the running gantry, if it answers at once; else nothing.

Whoever presses Tab wants no error on the line that is being typed.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from twisted_gantry.ctl import shapes
from twisted_gantry.ctl.client import Api
from twisted_gantry.ctl.errors import Trouble
from twisted_gantry.ctl.helptext import Command
from twisted_gantry.ctl.session import Session
from twisted_gantry.ctl.texts import Texts, preferred

# Seconds for the answer.
PATIENCE = 1.0

_Names = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _session(context: click.Context) -> Session:
    """Return the session of the options that stand before: the group was not run."""
    given = context.find_root().params

    def path(name: str) -> Path | None:
        return Path(given[name]) if given.get(name) else None

    texts = Texts("zh" if (given.get("lang") or preferred(os.environ)) == "zh" else "en")
    url = given.get("url") or ""
    return Session(texts, url, PATIENCE, path("password_file"), path("token_file"))


def _items(named: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(name, help=what or None)
        for name, what in named
        if name.startswith(incomplete)
    ]


def _completion(find: Callable[[Api, Texts, str], Iterable[tuple[str, str]]]) -> _Names:
    """Return a completion of the names, each with what it is, that `find` gets from the API."""

    def complete(
        context: click.Context, _: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        session = _session(context)
        try:
            return _items(find(session.api(), session.texts, incomplete), incomplete)
        except Trouble:
            return []

    return complete


def _points(api: Api, texts: Texts, incomplete: str) -> Iterable[tuple[str, str]]:
    answer = api.get("/api/v1/points", {"prefix": incomplete or None})
    for point in shapes.read(answer, shapes.Points, api.url).points:
        yield point.point, texts.pick(point.label.en, point.label.zh)


def _uplinks(api: Api, *_: object) -> Iterable[tuple[str, str]]:
    for uplink in shapes.read(api.get("/api/v1/site"), shapes.Site, api.url).uplinks:
        yield uplink.name, ""


def _targets(api: Api, *_: object) -> Iterable[tuple[str, str]]:
    for device in _devices(api):
        yield device.target, ""


points = _completion(_points)
"""Names of points."""

uplinks = _completion(_uplinks)
"""Names of uplinks."""

targets = _completion(_targets)
"""Names of devices that take commands."""


def _devices(api: Api) -> list[shapes.DeviceCommands]:
    answer = api.get("/api/v1/commands")
    return [d for d in shapes.read(answer, shapes.Commands, api.url).devices if d.commands]


class DeviceCommand(Command):
    """`gantryctl command`, which completes TARGET, COMMAND and the names of its arguments."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return what may stand here."""
        words: list[Any] = list(ctx.params.get("words") or ())
        given = [word for word in words if not word.startswith("-")]
        session = _session(ctx)
        items: list[CompletionItem] = []
        try:
            if incomplete.startswith("-"):
                arguments = self._arguments(session, *given[:2]) if len(given) > 1 else []
                items = _items(arguments, incomplete)
            elif len(given) == 0:
                items = _items(_targets(session.api()), incomplete)
            elif len(given) == 1:
                items = _items(self._commands(session, given[0]), incomplete)
        except Trouble:
            items = []
        return items + (super().shell_complete(ctx, incomplete) if incomplete[:1] == "-" else [])

    @staticmethod
    def _commands(session: Session, target: str) -> Iterable[tuple[str, str]]:
        for device in _devices(session.api()):
            if device.target == target:
                yield from ((c.command, session.texts.pick(c.en, c.zh)) for c in device.commands)

    @staticmethod
    def _arguments(session: Session, target: str, command: str) -> Iterable[tuple[str, str]]:
        for device in _devices(session.api()):
            for info in device.commands:
                if (device.target, info.command) == (target, command):
                    yield from ((f"--{each.name}", each.type) for each in info.arguments)
