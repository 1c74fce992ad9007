"""What every command works with: the options, the API, input and output."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console, RenderableType
from rich.text import Text

from twisted_gantry.ctl import client
from twisted_gantry.ctl import output as render
from twisted_gantry.ctl.client import Answer, Api
from twisted_gantry.ctl.errors import Exit, Trouble
from twisted_gantry.ctl.output import Column, Row
from twisted_gantry.ctl.texts.catalogue import Texts
from twisted_gantry.net.text_files import line_of
from twisted_gantry.wire.secret import Secret

_YES = frozenset({"y", "yes", "是"})

# Characters of a secret; a longer line is not a secret.
MAX_SECRET = 4096

_F = TypeVar("_F", bound=Callable[..., Any])


def read_secret(path: Path) -> Secret:
    """Return the one line of a file. Raises Trouble, which shows no part of the file."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SECRET + 1)
        text = line_of(data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise Trouble("bad-file", Exit.USAGE, file=path, reason=reason) from None
    if not text:
        raise Trouble("empty-secret", Exit.USAGE, file=path)
    if len(data) > MAX_SECRET:
        raise Trouble("bad-file", Exit.USAGE, file=path, reason=f"> {MAX_SECRET}")
    return Secret(text)


@dataclass
class Session:
    """One run of `gantryctl`. `timeout` is the seconds for one answer."""

    texts: Texts
    url: str
    timeout: float = client.TIMEOUT
    password_file: Path | None = None
    token_file: Path | None = None
    json: bool = False
    account: str = ""

    @staticmethod
    def on_terminal() -> bool:
        return sys.stdout.isatty()

    @staticmethod
    def can_ask() -> bool:
        return sys.stdin.isatty() and sys.stderr.isatty()

    @cached_property
    def api(self) -> Api:
        """The API at the URL of the options. Raises Trouble."""
        password = token = None
        if self.password_file is not None:
            password = read_secret(self.password_file)
        elif self.token_file is not None:
            token = read_secret(self.token_file)
        else:
            password, token = _from_environment("PASSWORD"), _from_environment("TOKEN")
        return Api(self.url, password, token, self.timeout, account=self.account)

    def console(self) -> Console:
        """Return the console for results: wide and without colours unless it is a terminal."""
        terminal = self.on_terminal()
        return Console(
            file=sys.stdout,
            force_terminal=terminal,
            color_system="auto" if terminal else None,
            width=None if terminal else render.WIDE,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Answer:
        """Return the document at `path`, showing a spinner. Raises Trouble."""
        with self.asking():
            return self.api.get(path, query)

    def table(self, columns: Sequence[Column], rows: Sequence[Row]) -> RenderableType:
        return render.table(self.texts, self.console(), columns, rows)

    def show(self, *things: RenderableType) -> None:
        console = self.console()
        if console.is_terminal:
            console.print(*things, sep="\n")
            return
        with console.capture() as captured:
            console.print(*things, sep="\n")
        for line in captured.get().splitlines():
            click.echo(line.rstrip())

    def show_rows(
        self, answer: Answer, columns: Sequence[Column], rows: Sequence[Row], none: str
    ) -> None:
        """Show an answer: its JSON for programs, else a table, or the text `none` for no rows."""
        if self.json:
            self.show_json(answer.document)
        else:
            self.show(self.table(columns, rows) if rows else none)

    def show_json(self, document: object) -> None:
        text = json.dumps(document, indent=2, ensure_ascii=False)
        if any(not char.isprintable() and char != "\n" for char in text):
            text = json.dumps(document, indent=2)
        click.echo(text)

    def show_json_line(self, document: object) -> None:
        """Write one of several results for a program, as one line."""
        text = json.dumps(document, ensure_ascii=False)
        click.echo(text if text.isprintable() else json.dumps(document))

    def fail(self, trouble: Trouble) -> int:
        message = self.explain(trouble)
        if self.json:
            self.show_json({"error": {"code": trouble.code, "message": message}})
        else:
            complain(self.texts, message)
        return trouble.exit_code

    def explain(self, trouble: Trouble) -> str:
        fields = dict(trouble.fields)
        if "message_zh" in fields:
            both = str(fields["message"]), str(fields.pop("message_zh"))
            fields["message"] = self.texts.pick(*both)
        return self.texts(trouble.key, **fields)

    def asking(self) -> AbstractContextManager[None]:
        return self.waiting(self.texts("asking", where=self.url))

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show `text` and a spinner during the block, at a terminal only."""
        if self.json or not self.on_terminal() or not sys.stderr.isatty():
            yield
            return
        console = Console(file=sys.stderr, highlight=False)
        with console.status(Text(render.plain(text))):
            yield

    def confirm(self, question: str) -> bool:
        """Ask a person; any answer but yes is a no."""
        click.echo(render.plain(question), nl=False, err=True)
        return sys.stdin.readline().strip().lower() in _YES

    def hidden(self, name: str, *, optional: bool = False) -> str:
        """Return a secret: asked for twice at a terminal, else a line of the input.

        An `optional` secret may be empty. Raises Trouble.
        """
        if not self.can_ask():
            text = sys.stdin.readline().rstrip("\r\n")
        else:
            first = self.texts("hidden-or-none" if optional else "hidden", name=name)
            again = self.texts("hidden-again", name=name)
            text = _prompt(first, suffix="", hide=True)
            if text and _prompt(again, suffix="", hide=True) != text:
                raise Trouble("hidden-differ", name=name)
        if not text and not optional:
            raise Trouble("hidden-empty", name=name)
        return text

    def ask(self, question: str, default: str = "") -> str:
        """Return a person's answer, `default` for an empty one."""
        return _prompt(render.plain(question), default).strip()

    def ask_whether(self, question: str, *, default: bool) -> bool:
        """Tell whether a person says yes; an empty answer is `default`."""
        marks = "[Y/n]" if default else "[y/N]"
        answer = _prompt(render.plain(f"{question} {marks}"), suffix=" ").strip().lower()
        return answer in _YES if answer else default


def _prompt(text: str, default: str = "", suffix: str = ": ", *, hide: bool = False) -> str:
    show = bool(default)
    said: str = click.prompt(text, default, hide, show_default=show, prompt_suffix=suffix, err=True)
    return said


def _from_environment(name: str) -> Secret | None:
    text = os.environ.get(f"GANTRY_{name}")
    return Secret(text) if text else None


def complain(texts: Texts, message: str) -> None:
    lines = texts("error-line", message=message).split("\n")
    click.echo("\n".join(render.plain(line) for line in lines), err=True)


pass_session = click.make_pass_decorator(Session)


def file_option(option: str, text: str) -> Callable[[_F], _F]:
    """Return an option that takes the path of a file; `text` is its help."""
    return click.option(option, type=click.Path(path_type=Path), metavar="FILE", help=text)


def json_option(function: _F) -> _F:
    def note(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            context.find_object(Session).json = True  # type: ignore[union-attr]

    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=note,
        help="Print JSON for programs. · 输出 JSON。",
    )(function)
