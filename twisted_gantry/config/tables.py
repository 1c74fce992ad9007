"""TOML tables into typed settings, every mistake found at once, each with its line and key.

Knows no setting of ours. msgspec checks each value; what it says is gathered instead of raised.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from twisted_gantry.core.secret import Secret

_S = TypeVar("_S", bound=msgspec.Struct)
Path = tuple[str | int, ...]

_KEY = r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'"""
_HEADER = re.compile(rf"\s*(\[\[?)\s*((?:{_KEY})(?:\s*\.\s*(?:{_KEY}))*)\s*\]")
_ASSIGNMENT = re.compile(rf"\s*((?:{_KEY})(?:\s*\.\s*(?:{_KEY}))*)\s*=")
# What within a value is whole, begins, or ends. A string of several lines may end in five quotes.
_TOKEN = re.compile(
    r"""\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'"""
    r"""|\#[^\n]*|[\[\]{}]|\n""",
    re.DOTALL,
)

# Characters of an offending value.
MOST_SHOWN = 200


@dataclass(frozen=True)
class Problem:
    """A mistake in a configuration; `line` counts from 1, None if the place is not in the file."""

    source: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        """Return `site.toml:12: uplink.etc.url: …`."""
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class ConfigError(Exception):
    """A configuration that cannot be used; `problems` says why, all of it."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.line or 0)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def show_path(path: Path) -> str:
    """Return a place as people write it: `device[2].poll`, counted from 1."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(value: Any) -> str:
    """Return a value as a message shows it, however large it is."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of very many digits, very deep lists
        return "too long to be shown"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _parts(dotted: str) -> Iterator[str]:
    for key in re.findall(_KEY, dotted):
        yield next(iter(tomllib.loads(f"{key} = 0")))


def _value_end(text: str, at: int) -> int:
    """Return where the value that begins at `at` ends: at a newline outside of all brackets."""
    depth = 0
    for token in _TOKEN.finditer(text, at):
        mark = token.group()
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
        elif mark == "\n" and depth <= 0:
            return token.start()
    return len(text)


def _lead(match: re.Match[str]) -> int:
    """Return how many lines are left blank before what was matched."""
    text = match.group()
    return text.count("\n", 0, len(text) - len(text.lstrip()))


def places(text: str) -> dict[Path, int]:
    """Return the line, from 1, of every table header and key that stands in TOML `text`.

    The keys within an inline table are left out; of a dotted key each beginning is in.
    """
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    at = 0
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        header, assignment = _HEADER.match(text, at), _ASSIGNMENT.match(text, at)
        if header is not None and "\n" not in header.group().strip("\n"):
            line += _lead(header)
            table = ()
            names = list(_parts(header[2]))
            for index, name in enumerate(names, 1):
                table += (name,)
                found.setdefault(table, line)
                if header[1] == "[[" and index == len(names):
                    counts[table] = counts.get(table, -1) + 1
                if table in counts:
                    table += (counts[table],)
            found[table] = line
            at = text.find("\n", header.end())
        elif assignment is not None:
            key = table
            for part in _parts(assignment[1]):
                key += (part,)
                found.setdefault(key, line + _lead(assignment))
            at = _value_end(text, assignment.end())
        else:
            at = text.find("\n", at)
        if at < 0:
            break
        at += 1
    return found


@dataclass
class Document:
    """A TOML text, decoded, with the problems found so far."""

    source: str
    root: dict[str, Any] = field(default_factory=dict, repr=False)  # secrets are in it
    problems: list[Problem] = field(default_factory=list)
    _places: dict[Path, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, source: str) -> "Document":
        """Decode `text`; what is no TOML is the only problem then."""
        document = cls(source)
        try:
            document.root = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"\(at line (\d+), column \d+\)", str(error))
            line = int(found[1]) if found else text.count("\n") + 1  # at the end of the document
            message = re.sub(r"\s*\(at .*\)$", "", str(error))
            document.problems.append(Problem(source, line, "", f"no TOML: {message}"))
        except (ValueError, RecursionError) as error:  # too many digits, too many brackets
            document.problems.append(Problem(source, None, "", f"cannot be read: {error}"))
        else:
            document._places = places(text)
        return document

    def wrong(self, path: Path, message: str) -> None:
        """Note a problem at `path`, or at the nearest place around it that stands in the text."""
        line = next(
            (self._places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self._places),
            None,
        )
        self.problems.append(Problem(self.source, line, show_path(path), message))

    def table(self, parent: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """Return the table at `path`, a key of `parent` last; `{}` if there is none."""
        value = parent.get(str(path[-1]), {})
        if isinstance(value, dict):
            return value
        self.wrong(path, "must be a table")
        return {}

    def tables(self, key: str) -> list[dict[str, Any]]:
        """Return the array of tables `[[key]]`, those that are tables."""
        value = self.root.get(key, [])
        if isinstance(value, list) and all(isinstance(each, dict) for each in value):
            return value
        self.wrong((key,), f"must be tables, each begun with [[{key}]]")
        return []

    def unknown(self, table: Mapping[str, Any], known: Set[str], path: Path) -> None:
        """Note each key of `table` that is not `known`."""
        for key in table:
            if key not in known:
                close = get_close_matches(key, known, 1)
                hint = f"; did you mean {close[0]}?" if close else ""
                self.wrong((*path, key), f"unknown key{hint}")

    def read(
        self,
        table: Mapping[str, Any],
        into: type[_S],
        path: Path,
        secret: Callable[[Any], Secret],
        also: frozenset[str] = frozenset(),
    ) -> _S | None:
        """Read `table` into a struct; `also` are keys that somebody else reads.

        `secret` turns the value of a secret key into a Secret, or raises ValueError. What is wrong
        is noted, and its default taken, so that the rest can still be checked; returns None when
        a key without a default is wrong or missing.
        """
        lacking = False
        types = get_type_hints(into, include_extras=True)
        fields = {f.encode_name: f for f in msgspec.structs.fields(into)}
        self.unknown(table, set(fields) | also, path)
        values: dict[str, Any] = {}
        for name, each in fields.items():
            if name not in table:
                if each.required:
                    self.wrong((*path, name), "is missing")
                    lacking = True
                continue
            try:
                if _is_secret(types[each.name]):
                    values[each.name] = secret(table[name])
                elif _is_secret_table(types[each.name]):
                    values[each.name] = _secrets(table[name], secret)
                else:
                    values[each.name] = msgspec.convert(table[name], types[each.name])
            except msgspec.ValidationError as error:
                text = _complaint(error, types[each.name])
                self.wrong((*path, name), f"{text}; it is {shown(table[name])}")
                lacking = lacking or each.required
            except ValueError as error:
                self.wrong((*path, name), str(error))
                lacking = lacking or each.required
        return None if lacking else into(**values)


def _complaint(error: msgspec.ValidationError, kind: Any) -> str:
    """Return what msgspec has to say of a value, and what it may be."""
    text = str(error).replace("`", "")
    choices = sorted(_choices(kind))
    if choices and text.startswith("Invalid enum value"):
        return f"must be one of {', '.join(choices)}"
    return f"{text[:1].lower()}{text[1:]}"


def _choices(kind: Any) -> set[str]:
    """Return the texts that a type allows, if it names them."""
    if get_origin(kind) is Literal:
        return {str(each) for each in get_args(kind)}
    return {text for inner in get_args(kind) for text in _choices(inner)}


def _is_secret(kind: Any) -> bool:
    if get_origin(kind) is UnionType:
        return Secret in get_args(kind)
    return kind is Secret


def _is_secret_table(kind: Any) -> bool:
    return get_origin(kind) is dict and Secret in get_args(kind)


def _secrets(table: Any, secret: Callable[[Any], Secret]) -> dict[str, Secret]:
    """Read a table of secrets by name. Raises ValueError, which shows none of them."""
    if not isinstance(table, dict):
        raise ValueError("must be a table of texts")  # noqa: TRY004 - of all that is wrong
    given = {}
    for name, value in table.items():
        try:
            given[name] = secret(value)
        except ValueError as error:
            raise ValueError(f"{shown(name)}: {error}") from None
    return given
