"""Where secrets come from: plain, from the environment, or from a file."""

import os
from pathlib import Path
from typing import Any

from twisted_gantry.core.secret import Secret
from twisted_gantry.net.text_files import line_of

_SHAPE = 'must be a text, { env = "NAME" } or { file = "PATH" }'


def path_of(folder: Path, text: str) -> Path:
    """Return a file that a setting names, relative to `folder`; variables are expanded."""
    return folder / os.path.expandvars(text)  # $CREDENTIALS_DIRECTORY


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
            raise ValueError(f"the environment has no {name}")
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
