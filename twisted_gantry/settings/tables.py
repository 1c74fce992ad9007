"""TOML tables into typed settings; all mistakes are found at once, each with line and key.

Knows no setting of ours. msgspec checks each value; its errors are gathered instead of raised.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path as FilePath
from types import MappingProxyType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from twisted_gantry.net.pem import LATER, Pem
from twisted_gantry.net.text_files import read_text
from twisted_gantry.settings.sources import NotYet
from twisted_gantry.texts.phrases import Language, problems
from twisted_gantry.wire.json import is_struct
from twisted_gantry.wire.secret import Secret

_S = TypeVar("_S", bound=msgspec.Struct)
_R = TypeVar("_R")
Path = tuple[str | int, ...]
Checks = Mapping[str, Callable[[Any], str]]
"""What is wrong with the value of a key, by the key; an empty text if nothing is."""
NO_CHECKS: Checks = MappingProxyType({})
_WRONG = object()  # a value that was noted as wrong

_KEY = r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'"""
_HEADER = re.compile(rf"\s*(\[\[?)\s*((?:{_KEY})(?:\s*\.\s*(?:{_KEY}))*)\s*\]")
_ASSIGNMENT = re.compile(rf"\s*((?:{_KEY})(?:\s*\.\s*(?:{_KEY}))*)\s*=")
# Strings, comments and brackets within a value. A multi-line string may end in five quotes.
_TOKEN = re.compile(
    r"""\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'"""
    r"""|\#[^\n]*|[\[\]{}]|\n""",
    re.DOTALL,
)

MOST_SHOWN = 200  # characters of an offending value in a message


@dataclass(frozen=True)
class Problem:
    """A mistake in a configuration; `line` counts from 1, None for a place outside the file."""

    source: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        return self.text("en")

    def text(self, language: Language) -> str:
        """Return the place, the key and the message in a language."""
        message = self.said(language)
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{place}: {self.key}: {message}" if self.key else f"{place}: {message}"

    def said(self, language: Language) -> str:
        """Return the message alone, in a language."""
        return self.message if language == "en" else problems().chinese(self.message)


class ConfigError(Exception):
    """A configuration that cannot be used; `problems` are all its mistakes."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.line or 0)
        super().__init__(self.text("en"))

    def text(self, language: Language) -> str:
        """Return a line for each mistake."""
        return "\n".join(each.text(language) for each in self.problems)


def checked(later: Iterable[Problem], warnings: Iterable[Problem], language: Language) -> str:
    """Return what `--check` prints of a configuration that is in order."""
    zh = language == "zh"
    left = "；此时未检查" if zh else "; not checked now"
    lines = [f"{each.text(language)}{left}" for each in later]
    lines += [f"{each.text(language)}{'（警告）' if zh else ' (a warning)'}" for each in warnings]
    return "\n".join([*lines, "配置无误" if zh else "the configuration is in order"]) + "\n"


def read_toml(path: FilePath) -> str:
    """Return the text of a configuration file. Raises ConfigError."""
    try:
        return read_text(path)
    except OSError as error:
        raise ConfigError([Problem(str(path), None, "", f"{error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(path), None, "", "is not UTF-8")]) from None


def show_path(path: Path) -> str:
    """Return a place as text, counted from 1: `device[2].poll`."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(value: Any) -> str:
    """Return a value as a message shows it, shortened."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of very many digits, very deep lists
        return "too long to be shown"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _parts(dotted: str) -> Iterator[str]:
    for key in re.findall(_KEY, dotted):
        yield next(iter(tomllib.loads(f"{key} = 0")))


def _value_end(text: str, at: int) -> int:
    """Return the end of the value that begins at `at`: a newline outside all brackets."""
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
    text = match.group()
    return text.count("\n", 0, len(text) - len(text.lstrip()))


def places(text: str) -> dict[Path, int]:
    """Return the line, from 1, of every table header and key in TOML `text`.

    Keys within an inline table are left out. A dotted key has an entry for each of its prefixes.
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
    source: str
    root: dict[str, Any] = field(default_factory=dict, repr=False)  # it has secrets
    problems: list[Problem] = field(default_factory=list)
    later: list[Problem] | None = None
    """Files that can be checked only when the service starts; None makes them problems."""
    warnings: list[Problem] = field(default_factory=list)
    """What works, and may not be what was meant."""
    readers: dict[type, Callable[[Any], Any]] = field(default_factory=dict)
    """Turn what is given for a key of a type into that type, or raise ValueError."""
    _places: dict[Path, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, source: str) -> "Document":
        """Decode `text`; if it is not TOML, that is the only problem."""
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
        """Note a problem at `path`, or at the nearest place around it that is in the text."""
        self.problems.append(self._problem(path, message))

    def complain(self, path: Path, wrong: str) -> None:
        """Note a problem, if `wrong` names one."""
        if wrong:
            self.wrong(path, wrong)

    def warn(self, path: Path, doubt: str) -> None:
        """Note what works and may not be meant, if `doubt` names it."""
        if doubt:
            self.warnings.append(self._problem(path, doubt))

    def not_yet(self, path: Path, error: NotYet) -> bool:
        """Note a file that only the service can read; False if it is needed now."""
        if self.later is None:
            return False
        self.later.append(self._problem(path, str(error)))
        return True

    def _problem(self, path: Path, message: str) -> Problem:
        line = next(
            (self._places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self._places),
            None,
        )
        return Problem(self.source, line, show_path(path), message)

    def table(self, parent: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """Return the table at `path`, whose last key is in `parent`; `{}` if missing."""
        value = parent.get(str(path[-1]), {})
        if isinstance(value, dict):
            return value
        self.wrong(path, "must be a table")
        return {}

    def tables(self, key: str) -> list[dict[str, Any]]:
        """Return the array of tables `[[key]]`; if wrong, what it has of them."""
        value = self.root.get(key, [])
        if isinstance(value, list) and all(isinstance(each, dict) for each in value):
            return value
        self.wrong((key,), f"must be tables, each begun with [[{key}]]")
        given = value if isinstance(value, list) else [value]
        return [each for each in given if each and isinstance(each, dict)]

    def unknown(self, table: Mapping[str, Any], known: Set[str], path: Path) -> None:
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
        checks: Checks = NO_CHECKS,
    ) -> _S | None:
        """Read `table` into a struct; `also` are keys that are read elsewhere.

        `secret` turns the value of a secret key into a Secret, or raises ValueError. `checks` look
        at values of the right type, each for itself: no mistake hides another. A wrong value is
        noted and replaced by its default, so that the rest can be checked. Returns None if a key
        without a default is wrong or missing. What one key alone does not show is checked by the
        struct: its methods `mistakes_in(table)`, of the class, and `mistakes()` yield keys below
        the table, and what is wrong there.
        """
        lacking = self._mistaken(getattr(into, "mistakes_in", _no_mistakes)(table), path)
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
            value = self._value(table[name], types[each.name], (*path, name), secret)
            if value is not _WRONG and (wrong := checks.get(name, _anything)(value)):
                self.wrong((*path, name), wrong)
                value = _WRONG
            if value is _WRONG:
                lacking = lacking or each.required
            else:
                values[each.name] = value
        if lacking:
            return None
        made = into(**values)
        mistaken = self._mistaken(getattr(made, "mistakes", _no_mistakes)(), path)
        return None if mistaken else made

    def _mistaken(self, mistakes: Iterable[tuple[Path, str]], path: Path) -> bool:
        found = list(mistakes)
        for keys, wrong in found:
            self.wrong((*path, *keys), wrong)
        return bool(found)

    def _value(self, given: Any, kind: Any, path: Path, secret: Callable[[Any], Secret]) -> Any:
        """Return a value as `kind` has it, or _WRONG once what is wrong with it is noted."""
        try:
            if _is_or_none(kind, Secret):
                return secret(given)
            for each, reader in self.readers.items():
                if _is_or_none(kind, each):
                    return reader(given)
            if get_origin(kind) is dict and Secret in get_args(kind):
                return _secrets(given, secret)
            struct, many = _struct_of(kind)
            if struct is None or not isinstance(given, list if many else dict):
                return msgspec.convert(given, kind)
        except msgspec.ValidationError as error:
            self.wrong(path, f"{_complaint(error, kind)}; it is {shown(given)}")
            return _WRONG
        except ValueError as error:
            if isinstance(error, NotYet) and self.not_yet(path, error):
                return _stand_in(kind)
            self.wrong(path, str(error))
            # Told once: a file that cannot be read is not missing beside its other half.
            return LATER if _is_or_none(kind, Pem) else _WRONG
        read: list[Any] = []
        for index, table in enumerate(given if many else [given]):
            place = (*path, index) if many else path
            if isinstance(table, dict):
                read.append(self.read(table, struct, place, secret))
            else:
                self.wrong(place, f"must be a table; it is {shown(table)}")
                read.append(None)
        if None in read:
            return _WRONG
        return get_origin(many)(read) if many else read[0]


def _stand_in(kind: Any) -> Any:
    """Return what passes for a value that is not there yet."""
    if get_origin(kind) is dict:
        return {}
    return Secret("0") if _is_or_none(kind, Secret) else LATER


def _anything(value: Any) -> str:
    return ""


def read_settings(
    text: str,
    source: str,
    read: Callable[[Document], _R | None],
    later: list[Problem] | None,
    warnings: list[Problem] | None,
) -> _R:
    """Return what `read` makes of a configuration. `later` gains the files that can be checked only
    when the service starts, `warnings` what may not be meant. Raises ConfigError.
    """
    document = Document.parse(text, source)
    if document.problems:
        raise ConfigError(document.problems)
    document.later = later
    settings = read(document)
    if warnings is not None:
        warnings += document.warnings
    if settings is None:
        raise ConfigError(document.problems)
    return settings


def _no_mistakes(*_: Any) -> Iterable[tuple[Path, str]]:
    return ()


def _struct_of(kind: Any) -> tuple[type[msgspec.Struct] | None, Any]:
    """Return the struct that `kind` is, or is an array of, and the type of that array, or None."""
    if get_origin(kind) in (list, tuple):
        first = get_args(kind)[0]
        return (first, kind) if is_struct(first) else (None, None)
    structs = [each for each in (kind, *get_args(kind)) if is_struct(each)]
    is_one = kind in structs or get_origin(kind) is UnionType
    return (structs[0], None) if len(structs) == 1 and is_one else (None, None)


_EMPTY = '""'  # how an empty text is shown
_PATTERN = "matching regex"  # of a complaint of msgspec


def _complaint(error: msgspec.ValidationError, kind: Any) -> str:
    text = str(error).replace("`", "")
    choices = sorted(_choices(kind))
    if choices and text.startswith("Invalid enum value"):
        return f"must be one of {', '.join(each or _EMPTY for each in choices)}"
    if _PATTERN in text:
        text = _described(kind) or text
    return f"{text[:1].lower()}{text[1:]}"


def _choices(kind: Any) -> set[str]:
    if get_origin(kind) is Literal:
        return {str(each) for each in get_args(kind)}
    return {text for inner in get_args(kind) for text in _choices(inner)}


def _described(kind: Any) -> str:
    """Return what the texts of a kind are, in the words that stand beside its pattern."""
    return getattr(getattr(kind, "__metadata__", (None,))[0], "description", None) or ""


def _is_or_none(kind: Any, type_: type) -> bool:
    return kind is type_ or (get_origin(kind) is UnionType and type_ in get_args(kind))


def _secrets(table: Any, secret: Callable[[Any], Secret]) -> dict[str, Secret]:
    """Read a table of secrets by name. Raises ValueError, which shows no secret."""
    if not isinstance(table, dict):
        raise ValueError("must be a table of texts")  # noqa: TRY004 - as for every wrong value
    given = {}
    for name, value in table.items():
        try:
            given[name] = secret(value)
        except NotYet:
            raise
        except ValueError as error:
            raise ValueError(f"{shown(name)}: {error}") from None
    return given
