"""TOML tables: where each key stands, and every mistake at once, with its line."""

import json
import tomllib
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted_gantry.settings.tables import MOST_SHOWN, Document, Path, Problem, places, show_path
from twisted_gantry.wire.secret import Secret

# -- where a key stands


def test_each_key_is_found_on_its_line() -> None:
    """Keys, dotted keys, tables and arrays of tables are found where they are written."""
    text = """\
top = 1

[gantry] # [not.this]
id = "G"
  name = "x"

[[device]]
"quoted key" = 1
a . b = 2
[device.more]
c = 3
[[device]]
c = [ # a ] in a comment
  "]", '[[device]]',
]
d = '''
e = 1
'''
f = { g = 1 }
[x.y]
"""
    assert places(text) == {
        ("top",): 1,
        ("gantry",): 3,
        ("gantry", "id"): 4,
        ("gantry", "name"): 5,
        ("device",): 7,
        ("device", 0): 7,
        ("device", 0, "quoted key"): 8,
        ("device", 0, "a"): 9,
        ("device", 0, "a", "b"): 9,
        ("device", 0, "more"): 10,
        ("device", 0, "more", "c"): 11,
        ("device", 1): 12,
        ("device", 1, "c"): 13,
        ("device", 1, "d"): 16,
        ("device", 1, "f"): 19,
        ("x",): 20,
        ("x", "y"): 20,
    }


VALUES = {
    "a quote at the end": '"""say "no\\""""',
    "quotes at the end": '"""say ""no"""""',
    "quotes alone": '""""""""',
    "a quote at the end in a list": '["""a"""", "]", """\nfake = 1\n"""]',
    "an apostrophe": "'''it's'''",
    "apostrophes at the end": "'''it'''''",
    "a quote within": '"""\nsay "hi\n"""',
    "a hash within": '"""\nno # comment"""',
    "an escaped end": '"""\n\\"""still"""',
    "a backslash at the end": '"""\n\\\\"""',
    "a literal backslash": "'\\'",
    "an escaped quote": '"\\"["',
    "a list": '[ "[", # ]]] "\'\n  \'"\', """\n]""",\n]',
    "a list in a list": "[[1,\n2], [\n]]",
    "an inline table": '{ a = "}", b = [\n1] }',
    "a comment with quotes": '1 # """ \' [',
    "nothing in it": '""',
    "a date": "1979-05-27 07:32:00",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_the_end_of_a_value_is_found(value: str) -> None:
    """Whatever a value holds, what follows it is found on its line."""
    text = f"before = {value}\nafter = 2\n[table]\n"
    assert tomllib.loads(text)["after"] == 2
    line = 2 + value.count("\n")
    assert places(text) == {("before",): 1, ("after",): line, ("table",): line + 1}


def test_an_empty_text_has_no_places() -> None:
    """A text without keys has nothing to find."""
    assert places("") == {}
    assert places("\n# [a]\n# b = 1\n") == {}


# Pieces of strings that may be taken for something else.
_PIECES = st.sampled_from(
    [
        '"',
        '""',
        "'",
        "''",
        "[",
        "]",
        "{",
        "}",
        "#",
        " = ",
        "\n",
        "[fake]\n",
        "fake = 1\n",
        "x",
        "门",
    ]
)
_TEXTS = st.lists(_PIECES, max_size=8).map("".join)


def _is_value(text: str) -> bool:
    try:
        tomllib.loads(f"x = {text}\n")
    except tomllib.TOMLDecodeError:
        return False
    return True


def _written(text: str) -> str:
    """Return a text as a TOML string of one line."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


_STRINGS = st.one_of(
    _TEXTS.map(_written),
    _TEXTS.map(lambda text: f"'{text}'"),
    _TEXTS.map(lambda text: f'"""{text}"""'),
    _TEXTS.map(lambda text: f"'''{text}'''"),
    st.lists(_PIECES | st.sampled_from(["\\\\", '\\"'])).map(lambda p: f'"""{"".join(p)}"""'),
).filter(_is_value)
_PLAIN = st.sampled_from(["1", "-1.5", "true", "inf", "0xff", "1979-05-27", "07:32:00"])
_GAPS = st.sampled_from(["", " ", "\n", "  \n", " # ]}\"''' [a] b = 1\n", "\n\n\t"])


@st.composite
def _lists(draw: st.DrawFn, items: st.SearchStrategy[str]) -> str:
    parts = [f"{draw(_GAPS)}{each}{draw(_GAPS)}" for each in draw(st.lists(items, max_size=3))]
    return f"[{','.join(parts)}{draw(_GAPS)}]"


_ITEMS = _STRINGS | _PLAIN
_INLINE = st.lists(_ITEMS, max_size=3).map(
    lambda items: "{" + ", ".join(f"k{n} = {item}" for n, item in enumerate(items)) + "}"
)
_ANY_VALUE = _ITEMS | _INLINE | st.recursive(_ITEMS | _INLINE, _lists, max_leaves=5)
_KEY_TEXTS = st.text(max_size=4) | st.sampled_from(["a.b", "[x]", "#", '"', "=", " ", "\\", "键"])


class Writer:
    """Writes a TOML document line by line, and notes where everything is."""

    def __init__(self, draw: Callable[..., Any], newline: str) -> None:
        self._draw, self._newline = draw, newline
        self._text, self._names = "", 0
        self.found: dict[Path, int] = {}
        self.leaves: set[Path] = set()

    @property
    def text(self) -> str:
        """The document."""
        return self._text.replace("\n", self._newline)

    def key(self) -> tuple[str, str]:
        """Return a key that is not used yet, and how it is written."""
        self._names += 1
        bare = self._draw(st.booleans())
        if bare:
            name = f"{self._draw(st.sampled_from(['a', 'B-', '_', '0']))}{self._names}"
            return name, self._draw(st.sampled_from([name, f'"{name}"', f"'{name}'"]))
        name = f"{self._draw(_KEY_TEXTS)}{self._names}"
        return name, _written(name)

    def line(self, text: str) -> None:
        """Write a line, perhaps indented, with a comment behind."""
        indent = self._draw(st.sampled_from(["", "  ", "\t"]))
        comment = self._draw(st.sampled_from(["", '  # [no.table] \'x\' = """', "\t"]))
        self._text += f"{indent}{text}{comment}\n"

    def filler(self) -> None:
        """Write what is nothing."""
        self._text += self._draw(st.sampled_from(["", "", "\n", "# [a]\n", "  \n\n", "#b = '''\n"]))

    def note(self, path: Path) -> None:
        """Note that a path begins on the line that is written next."""
        self.found[path] = self._text.count("\n") + 1

    def assignments(self, table: Path) -> None:
        for _ in range(self._draw(st.integers(0, 3))):
            self.filler()
            names = [self.key() for _ in range(self._draw(st.integers(1, 3)))]
            path = table
            for name, _written_name in names:
                path = (*path, name)
                self.note(path)
            self.leaves.add(path)
            dot = self._draw(st.sampled_from([".", " . ", ".\t"]))
            equals = self._draw(st.sampled_from(["=", " = ", "=\t"]))
            self.line(dot.join(each for _, each in names) + equals + self._draw(_ANY_VALUE))

    def table(self, above: Path, written_above: list[str]) -> None:
        """Write a table, or an array of tables, perhaps with more of them within."""
        names = [self.key() for _ in range(self._draw(st.integers(1, 2)))]
        many = self._draw(st.booleans())
        inner = self._draw(st.booleans()) and len(above) < 4
        for index in range(self._draw(st.integers(1, 3)) if many else 1):
            self.filler()
            path = above
            for name, _written_name in names:
                path = (*path, name)
                if path not in self.found:
                    self.note(path)
            if many:
                path = (*path, index)
                self.note(path)
            written = [*written_above, *(each for _, each in names)]
            space = self._draw(st.sampled_from(["", " ", "\t"]))
            header = f"{space}.{space}".join(written)
            self.line(f"[[{space}{header}{space}]]" if many else f"[{space}{header}{space}]")
            self.assignments(path)
            if inner:
                self.table(path, written)


def _seen(value: Any, path: Path, leaves: set[Path]) -> Iterator[Path]:
    """Return every path that the parser sees, but for what is inside of values."""
    if path:
        yield path
    if path in leaves:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _seen(inner, (*path, key), leaves)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _seen(inner, (*path, index), leaves)


@settings(max_examples=60, derandomize=True)
@given(data=st.data(), newline=st.sampled_from(["\n", "\r\n"]))
def test_every_key_that_the_parser_sees_is_found(data: st.DataObject, newline: str) -> None:
    """In any document, what tomllib sees is found, on the line where it stands, and no more."""
    writer = Writer(data.draw, newline)
    writer.assignments(())
    for _ in range(data.draw(st.integers(0, 3))):
        writer.table((), [])
    writer.filler()
    found = places(writer.text)
    assert found == writer.found
    assert set(found) == set(_seen(tomllib.loads(writer.text), (), writer.leaves))


# -- problems


def test_a_problem_is_one_line() -> None:
    """A problem is shown as file, line, key and what is wrong; what is not known is left out."""
    assert str(Problem("site.toml", 12, "uplink.etc.url", "bad")) == (
        "site.toml:12: uplink.etc.url: bad"
    )
    assert str(Problem("site.toml", None, "", "is not UTF-8")) == "site.toml: is not UTF-8"


def test_a_place_counts_from_one() -> None:
    """The second device's key is `device[2].poll`, as people count."""
    assert show_path(("device", 1, "poll")) == "device[2].poll"
    assert show_path(()) == ""


def test_a_problem_has_the_line_of_its_key() -> None:
    """A problem is on the line of its key; of a missing one, on that of the nearest around it."""
    document = Document.parse("[a]\nb = 1\n[c.d]\n", "f")
    for path in (("a", "b"), ("a", "none"), ("c", "d", "none"), ("c", "none"), ("none",)):
        document.wrong(path, "x")
    assert [(each.line, each.key) for each in document.problems] == [
        (2, "a.b"),
        (1, "a.none"),
        (3, "c.d.none"),
        (3, "c.none"),
        (None, "none"),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = \n", 2),
        ("a = 1\n\n[b\n", 3),
        ("a = 1\na = 2\n", 2),
        ("[a]\n[a]\n", 2),
        ("a = 1\nb = '''x\n", 3),
        ("a = 1\nb = {", 2),
        ("a = 2026-13-01", 1),
        ("x = \x00", 1),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(text: str, line: int) -> None:
    """A mistake in the TOML itself is the only problem, with its line."""
    document = Document.parse(text, "site.toml")
    [problem] = document.problems
    assert problem.line == line
    assert problem.message.startswith("no TOML: ")
    assert "(at" not in problem.message
    assert document.root == {}


@pytest.mark.parametrize(
    "text", ["a = " + "9" * 5000, "a = " + "[" * 5000, "a.b = " + "{a=" * 3000]
)
def test_what_no_reader_takes_is_a_problem(text: str) -> None:
    """Numbers of thousands of digits and very deep lists are told, not raised."""
    [problem] = Document.parse(text, "f").problems
    assert problem.message.startswith("cannot be read: ")


# -- reading tables


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of every sort."""

    url: str
    poll: Annotated[float, msgspec.Meta(ge=0.1)] = 2.0
    count: int = 1
    names: str | list[str] = []
    password: Secret | None = None


def _secret(value: Any) -> Secret:
    if not isinstance(value, str):
        raise ValueError("is no secret")  # noqa: TRY004 - as the reader of secrets does
    return Secret(value)


def _read(text: str, also: frozenset[str] = frozenset()) -> tuple[Settings | None, list[str]]:
    document = Document.parse(text, "f")
    settings = document.read(document.root, Settings, (), _secret, also)
    return settings, [str(problem) for problem in document.problems]


def test_a_table_is_read_with_its_defaults() -> None:
    """What is left out has its default; a whole number does for a decimal one."""
    settings, problems = _read('url = "u"\npoll = 3\nnames = ["a"]\npassword = "p"\n')
    assert problems == []
    assert settings == Settings(url="u", poll=3.0, names=["a"], password=Secret("p"))
    assert _read('url = "u"') == (Settings(url="u"), [])


def test_every_mistake_of_a_table_is_told() -> None:
    """Each wrong key is told with its line and its value; a wrong secret without."""
    settings, problems = _read(
        'poll = 0.01\ncount = "one"\nnames = [1]\npassword = 7\nuri = "u"\nother = 1\n'
    )
    assert settings is None
    assert problems == [
        "f:5: uri: unknown key; did you mean url?",
        "f:6: other: unknown key",
        "f: url: is missing",
        "f:1: poll: expected float >= 0.1; it is 0.01",
        "f:2: count: expected int, got str; it is 'one'",
        "f:3: names: expected str, got int - at $[0]; it is [1]",
        "f:4: password: is no secret",
    ]


def test_a_wrong_key_takes_its_default() -> None:
    """What can be read is read beside a mistake, so that the rest can be checked as well."""
    settings, problems = _read('url = "u"\npoll = "often"\n')
    assert len(problems) == 1
    assert settings == Settings(url="u")


def test_the_keys_of_somebody_else_are_left_alone() -> None:
    """A key that is read elsewhere is not unknown."""
    assert _read('url = "u"\nname = 1\n', frozenset({"name"})) == (Settings(url="u"), [])


@pytest.mark.parametrize(
    "line",
    [
        'count = "' + "x" * 100_000 + '"',
        "poll = 0x" + "f" * 10_000,
        "count = " + "[" * 50 + "]" * 50,
    ],
    ids=["long", "large", "deep"],
)
def test_a_large_value_is_not_shown_whole(line: str) -> None:
    """However large an offending value is, the message is of a size that people read."""
    _, [problem] = _read(f'url = "u"\n{line}')
    assert len(problem) < MOST_SHOWN + 100


def test_tables_must_be_tables() -> None:
    """A key where a table or tables belong is a problem, and counts as empty."""
    document = Document.parse("a = 1\nb = [1]\nd = 2\n[c]\n[[e]]\n[[e]]\n", "f")
    assert document.table(document.root, ("a",)) == {}
    assert document.table(document.root, ("c",)) == {}
    assert document.table(document.root, ("nothing",)) == {}
    assert [document.tables(key) for key in ("b", "d", "c", "nothing")] == [[], [], [], []]
    assert document.tables("e") == [{}, {}]
    assert [str(problem) for problem in document.problems] == [
        "f:1: a: must be a table",
        "f:2: b: must be tables, each begun with [[b]]",
        "f:3: d: must be tables, each begun with [[d]]",
        "f:4: c: must be tables, each begun with [[c]]",
    ]
