"""Help that wraps by the width on the screen: a Chinese character takes two cells."""

from collections.abc import Iterable

import click
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from twisted_gantry.ctl.texts.catalogue import texts_for

_FIRST_COLUMN = 26


def _wrapped(text: str, width: int) -> list[str]:
    console = Console(width=width, file=None)
    return [line.plain.rstrip() for line in Text(" ".join(text.split())).wrap(console, width)]


class Formatter(click.HelpFormatter):
    def write_text(self, text: str) -> None:
        """Write paragraphs; a paragraph that begins with a backspace is not wrapped."""
        indent = " " * self.current_indent
        width = max(self.width - self.current_indent, 20)
        for number, paragraph in enumerate(text.split("\n\n")):
            if number:
                self.write("\n")
            lines = paragraph.strip("\n").split("\n")
            lines = lines[1:] if lines[0].strip() == "\b" else _wrapped(paragraph, width)
            for line in lines:
                self.write(f"{indent}{line}\n")

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = _FIRST_COLUMN, col_spacing: int = 2
    ) -> None:
        indent = " " * self.current_indent
        rows = list(rows)
        first = min(max((cell_len(term) for term, _ in rows), default=0), col_max)
        margin = " " * (self.current_indent + first + col_spacing)
        for term, meaning in rows:
            lines = _wrapped(meaning, max(self.width - len(margin), 20))
            if cell_len(term) > first:
                self.write(f"{indent}{term}\n")
                head = margin
            else:
                head = indent + term + " " * (first - cell_len(term) + col_spacing)
            for line in lines or [""]:
                self.write(f"{head}{line}".rstrip() + "\n")
                head = margin


class Context(click.Context):
    formatter_class = Formatter


def _speak(context: click.Context, _: click.Parameter, language: str | None) -> None:
    """Let the whole run speak the language that is given behind a command."""
    root = context.find_root()
    if language is not None:
        root.params["lang"] = language
        if root.obj is not None:
            root.obj.texts = texts_for(language)


class Command(click.Command):
    """A command; `--lang` may stand before it or behind it."""

    context_class = Context

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        params = super().get_params(ctx)
        if ctx.parent is None or any(each.name == "lang" for each in params):
            return params
        lang = click.Option(
            ["--lang"],
            type=click.Choice(["en", "zh"]),
            expose_value=False,
            is_eager=True,
            callback=_speak,
            help="Language of texts. · 显示语言。",
        )
        return [*params[:-1], lang, *params[-1:]]

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = "Show this help. · 显示本帮助。"
        return option


class Group(Command, click.Group):
    """A group with help in two languages; its commands stand in the order they were added in."""

    command_class = Command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, command.short_help or "") for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
