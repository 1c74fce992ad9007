"""What a person is told instead of a result, and the exit codes."""

from enum import IntEnum

import click


class Exit(IntEnum):
    """The exit codes; `gantryctl --help` lists them."""

    FINE = 0
    WRONG = 1
    UNREACHABLE = 2
    UNKNOWN = 3
    USAGE = 64
    INTERRUPTED = 130


class WrongUsage(click.UsageError):
    """A command line that no gantry could do anything with, in a text of the catalogue."""


class Trouble(Exception):
    """A text of the catalogue (`texts.py`) with its fields, and how to exit.

    The fields are shown as they are: none may hold a secret. `code` names the trouble to programs.
    """

    def __init__(
        self, key: str, exit_code: int = Exit.WRONG, code: str = "", /, **fields: object
    ) -> None:
        super().__init__(key)
        self.key, self.exit_code, self.code, self.fields = key, exit_code, code or key, fields
