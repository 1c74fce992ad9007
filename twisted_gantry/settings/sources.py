"""Where secrets come from: plain, from the environment, or from a file."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import msgspec

from twisted_gantry.net.text_files import line_of
from twisted_gantry.wire.secret import Secret

_SHAPE = 'must be a text, { env = "NAME" } or { file = "PATH" }'


_VARIABLE_NAME = re.compile(r"[A-Z0-9_]{1,100}")
_CREDENTIALS, _VARIABLE = "/run/credentials", "CREDENTIALS_DIRECTORY"


class NotYet(ValueError):
    """A file that systemd makes when the service starts, and that is not there now."""


def path_of(folder: Path, text: str) -> Path:
    """Return a file that a setting names, relative to `folder`; variables are expanded. Raises
    NotYet for a credential of a service that does not run, or of one that others may not read.
    """
    path = folder / os.path.expandvars(text)
    unknown = f"${_VARIABLE}" in text and _VARIABLE not in os.environ
    if unknown or (path.is_relative_to(_CREDENTIALS) and not os.access(path, os.R_OK)):
        raise NotYet(f"the file {path} cannot be read: systemd makes it when the service starts")
    return path


def read_secret(folder: Path, value: Any) -> Secret:
    """Return the secret `value` names, a file in `folder`. Raises ValueError without the secret."""
    if isinstance(value, str) and value:
        return Secret(value)
    if not (isinstance(value, dict) and len(value) == 1):
        empty = isinstance(value, str)
        raise ValueError("must not be empty" if empty else _SHAPE)
    [(source, name)] = value.items()
    if source not in {"env", "file"} or not isinstance(name, str):
        raise ValueError(_SHAPE)
    if source == "env":
        text = os.environ.get(name, "")
        if not text:
            # Any other name may be the secret itself, put into the wrong place.
            shown = name if _VARIABLE_NAME.fullmatch(name) else "variable of the name given"
            raise ValueError(f"the environment has no {shown}")
        return Secret(text)
    path = path_of(folder, name)
    try:
        text = line_of(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ValueError(f"the file {path} cannot be read: {reason}") from None
    if not text:
        raise ValueError(f"the file {path} is empty")
    return Secret(text)


def secrets_in(node: Any) -> Iterator[str]:
    """Yield every secret in settings, for the masks of the log."""
    if isinstance(node, Secret):
        yield node.reveal()
    elif isinstance(node, Mapping):
        for value in node.values():
            yield from secrets_in(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from secrets_in(value)
    elif isinstance(node, msgspec.Struct):
        for name in node.__struct_fields__:
            yield from secrets_in(getattr(node, name))
    elif is_dataclass(node) and not isinstance(node, type):
        for each in fields(node):
            yield from secrets_in(getattr(node, each.name))
