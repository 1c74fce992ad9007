"""The catalogue of texts: complete in both languages."""

import ast
import re
import string
from pathlib import Path

import pytest

from twisted_gantry import ctl
from twisted_gantry.ctl.errors import Trouble
from twisted_gantry.ctl.texts.catalogue import TEXTS, Texts
from twisted_gantry.devices.upscard.points import LABELS
from twisted_gantry.texts.phrases import preferred, table
from twisted_gantry.web.page import resource
from twisted_gantry.wire.local_api import OUTCOMES
from twisted_gantry.wire.reading import Quality
from twisted_gantry.wire.upscard.values import LIVE_UNITS, RATED_UNITS, STATUS_NAMES

SOURCES = sorted(Path(str(ctl.__file__)).parent.rglob("*.py"))
# Functions whose first argument is the key of a text.
TAKE_KEYS = frozenset(
    {"texts", "Column", "_section", "Trouble", "ApiError", "_error", "_trouble", "_prompt"}
)


def _fields(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def _constants() -> set[str]:
    found: set[str] = set()
    for path in SOURCES:
        if path.parent.name != "texts":
            tree = ast.parse(path.read_text())
            nodes = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
            found |= {value for value in nodes if isinstance(value, str)}
    return found


def _keys() -> set[str]:
    found: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                for argument in node.args:
                    if name in TAKE_KEYS and isinstance(argument, ast.Constant):
                        if isinstance(argument.value, str):
                            found.add(argument.value)
                        break
    return found


def test_both_languages() -> None:
    """Each text exists in both languages, with the same fields and different words."""
    for key, (english, chinese) in TEXTS.items():
        assert english, key
        assert _fields(english) == _fields(chinese), key
        assert english.replace("…", "").isascii(), key
        assert not chinese.isascii(), key


def test_the_words_of_the_page() -> None:
    """What the page calls states, outcomes and qualities, the command line calls them, too."""
    page = Path(str(resource.__file__)).parent
    states = (page / "texts.js").read_text("utf-8").partition("export const VALUES = {")[2]
    found = {}
    for point, values in re.findall(r"(\w+): \{(.*?)\}", states, re.DOTALL):
        for name, zh in re.findall(r'"?([\w-]+)"?: \["[^"]*", "([^"]*)"\]', values):
            found[f"{point}.{name}"] = zh
    assert found == table("values")
    words = table("words")
    for quality in Quality:
        shown = quality if quality == "good" else f'"{quality}"'
        assert f'{shown}: "{words[quality]}"' in (page / "texts.js").read_text("utf-8")
    for name in ("texts_lists.js", "device_texts.js"):
        chinese = (page / name).read_text("utf-8").partition("\n  zh: {")[2]
        [outcomes] = re.findall(r"\boutcomes?: \{(.*?)\}", chinese)
        told = dict(re.findall(r'(\w+): "([^"：]*)', outcomes))
        assert told == {each: words[each] for each in OUTCOMES}, name


def test_every_key_is_used() -> None:
    """No text is unused, and none is missing."""
    assert set(TEXTS) <= _constants()
    assert _keys() - {"?"} <= set(TEXTS)
    assert len(_keys()) > 80


def test_words_are_chinese() -> None:
    """Each state of the API has a Chinese word; an unknown state stays."""
    chinese, english = Texts("zh"), Texts("en")
    assert all(not chinese.word(word).isascii() for word in table("words"))
    assert english.word("online") == "online"
    assert chinese.word("sleeping") == "sleeping"


def test_labels_of_every_reading() -> None:
    """Each value of a UPS card has a name in both languages."""
    assert set(LABELS) >= {*LIVE_UNITS, *RATED_UNITS, *STATUS_NAMES}
    assert all(english.isascii() and not chinese.isascii() for english, chinese in LABELS.values())


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "C"}, "en"),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_TW", "LANG": "en_US"}, "zh"),
    ],
)
def test_preferred(environ: dict[str, str], language: str) -> None:
    """The language is that of the first of LC_ALL, LC_MESSAGES and LANG that is set."""
    assert preferred(environ) == language


def test_pick() -> None:
    """A text of one language only is shown in that one."""
    assert Texts("zh").pick("only", "") == "only"
    assert Texts("en").pick("", "只有") == "只有"
    assert Texts("zh").pick("both", "都有") == "都有"


def test_fields_with_braces() -> None:
    """Braces in a field are not interpreted."""
    trouble = Trouble("refused", where="{x}", status=400, name="n", message="{0.__class__}")
    shown = Texts("en")(trouble.key, **trouble.fields)
    assert "{x}" in shown
    assert "{0.__class__}" in shown
