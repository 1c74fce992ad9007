"""A configuration in the making: its tables as TOML, and the files of its secrets."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from twisted_gantry.ctl.files import refuse_existing, whole_file
from twisted_gantry.wire.secret import Secret

Value = Any  # a text, a flag, a number, a list or a table of these, or a secret


@dataclass(frozen=True)
class Table:
    """A table: its header without brackets, its keys, and a name for the files of its secrets."""

    header: str
    values: Mapping[str, Value]
    name: str = ""
    repeated: bool = False

    def having(self, more: Mapping[str, Value]) -> "Table":
        return replace(self, values={**self.values, **more})

    def secret_file(self, key: str) -> str:
        return f"{self.name or self.header}-{key}".replace("_", "-")


def _text(text: str) -> str:
    # A JSON string is a TOML string, except for DEL and lone surrogates.
    quoted = json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    return quoted.encode("utf-8", "replace").decode()


def _toml(value: Value) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_text(key)} = {_toml(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return "[" + ", ".join(_toml(each) for each in value) + "]"


@dataclass
class Draft:
    tables: list[Table] = field(default_factory=list)

    def secrets(self) -> dict[str, Secret]:
        return {
            table.secret_file(key): value
            for table in self.tables
            for key, value in table.values.items()
            if isinstance(value, Secret)
        }

    def toml(self) -> str:
        """Return the text of the file, with a reference to the file of each secret."""
        return self._render(lambda name, _: f"{{ file = {_text(name)} }}")

    def revealed(self) -> str:
        """Return the text with its secrets: it is for checks and must not be written."""
        return self._render(lambda _, secret: _text(secret.reveal()))

    def _render(self, secret: Callable[[str, Secret], str]) -> str:
        parts = []
        for table in self.tables:
            lines = [f"[[{table.header}]]" if table.repeated else f"[{table.header}]"]
            for key, value in table.values.items():
                if isinstance(value, Secret):
                    lines.append(f"{key} = {secret(table.secret_file(key), value)}")
                else:
                    lines.append(f"{key} = {_toml(value)}")
            parts.append("\n".join(lines) + "\n")
        return "\n".join(parts)

    def write(self, path: Path, check: Callable[[Path], None], *, force: bool) -> list[Path]:
        """Write the files of the secrets, then `path`; `check` raises to refuse it.

        Returns the files of the secrets. Raises Trouble; then no new file is left behind.
        """
        files = {path.parent / name: secret for name, secret in self.secrets().items()}
        if not force:
            for each in (path, *files):
                refuse_existing(each)
        made: list[Path] = []
        try:
            for each, secret in files.items():
                with whole_file(each, force=force) as file:
                    file.write(f"{secret.reveal()}\n".encode())
                made.append(each)
            with whole_file(path, force=force, private=False) as file:
                file.write(self.toml().encode())
                file.flush()
                check(Path(file.name))
        except BaseException:
            if not force:  # else they may be older files
                for each in made:
                    each.unlink(missing_ok=True)
            raise
        return made
