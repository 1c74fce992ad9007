"""The errors that a person is shown, and the exit codes."""

from enum import IntEnum

import click


class Exit(IntEnum):
    FINE = 0
    WRONG = 1
    UNREACHABLE = 2
    UNKNOWN = 3
    USAGE = 64
    INTERRUPTED = 130


class WrongUsage(click.UsageError):
    """A malformed command line; the message is a text of the catalogue."""


class Trouble(Exception):
    """An error: the key of a text of the catalogue, its fields, and the exit code.

    The fields are shown as they are: none may hold a secret. `code` names the error for programs.
    """

    def __init__(
        self, key: str, exit_code: int = Exit.WRONG, code: str = "", /, **fields: object
    ) -> None:
        super().__init__(key)
        self.key, self.exit_code, self.code, self.fields = key, exit_code, code or key, fields
