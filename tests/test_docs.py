"""The pages of `docs/` are true: what is cited exists, and the code's settings stand there."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast, get_args, get_type_hints

import msgspec
import pytest

from tests.support import Bench
from twisted_gantry.bridges.modbus.settings import ModbusServerSettings
from twisted_gantry.bridges.mqtt.settings import MqttSettings
from twisted_gantry.bridges.nut.settings import NutSettings, NutUser
from twisted_gantry.config.adjusts import AdjustSettings
from twisted_gantry.config.devices import DEVICE_KINDS
from twisted_gantry.config.load import load
from twisted_gantry.config.settings import (
    CabinetSettings,
    InterlockSettings,
    OwnRuleSettings,
    Settings,
)
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.devices.cabinet.points import group_points
from twisted_gantry.devices.cfos.points import feed_points, part_points
from twisted_gantry.devices.http_json import JsonPoint
from twisted_gantry.devices.modbus.settings import RegisterCommand, RegisterPoint
from twisted_gantry.net.outage import WORDS, Cause
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.notify.registry import KINDS as NOTIFY_KINDS
from twisted_gantry.notify.settings import ReachedSettings
from twisted_gantry.settings.web import UserSettings
from twisted_gantry.wire.etc.uploads import GROUPS
from twisted_gantry.wire.secret import Secret

TOP = Path(__file__).parents[1]
DOCS = TOP / "docs"
TOP_PAGES = ("README.md", "README.zh.md", "CONTRIBUTING.md")
PAGES = sorted([*DOCS.rglob("*.md"), *(TOP / each for each in TOP_PAGES)])
MODULES = sorted((TOP / "twisted_gantry").rglob("*.py"))
ROOMS = ("wire", "devices", "uplinks", "web", "twin/faces")


def place(path: Path) -> str:
    """Return a path within the checkout."""
    return path.relative_to(TOP).as_posix()


def section(page: str, heading: str) -> str:
    """Return the text under a heading of a page, up to the next one of its level or above."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(rf"^(#+) [^\n]*{re.escape(heading)}[^\n]*\n", text, re.MULTILINE)
    assert found is not None, f"{page} has no section {heading}"
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


# -- citations

_ROOT_PATH = re.compile(r"(?<![\w/.-])((?:docs|twisted_gantry|scripts|tests|\.ci)/[\w./-]*\w/?)")
_ROOM_PATH = re.compile(
    r"`((?:wire|net|core|store|devices|uplinks|web|access|twin|config|ctl|manhole|recording|daemon)"
    r"/[\w/]+(?:\.py)?)/?`"
)
_PAGE = re.compile(r"`?(docs/[\w/-]+\.md)`?")


_FILE = re.compile(r"`(\w+\.py)`")
_CODE = ("twisted_gantry", "tests", "docs/example-device")
_FILES = {each.name for room in _CODE for each in (TOP / room).rglob("*.py")}


def exists(path: str) -> bool:
    """Tell whether a file, a folder or a module without its suffix is there."""
    return (TOP / path).exists() or (TOP / f"{path}.py").exists()


@pytest.mark.parametrize("file", [*PAGES, *MODULES, TOP / "setup.cfg"], ids=place)
def test_what_is_cited_exists(file: Path) -> None:
    """Each file, folder or module that a page or a module names is in the checkout."""
    text = file.read_text(encoding="utf-8")
    cited = {*_ROOT_PATH.findall(text), *(f"twisted_gantry/{p}" for p in _ROOM_PATH.findall(text))}
    assert [path for path in sorted(cited) if not exists(path)] == []
    assert set(_FILE.findall(text)) <= _FILES


def cited_sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield each page that a module cites, with a heading or a decision that it quotes."""
    flat = re.sub(r"\s+(# )?", " ", text)
    for found in _PAGE.finditer(flat):
        tail = flat[found.end() : found.end() + 200]
        tail = re.split(r'\. |"""|docs/|\.\)', tail)[0]
        for quoted in re.findall(r'"([^"]+)"', tail):
            yield found[1], quoted.removesuffix(" ...").removesuffix("...").rstrip(":")
        for word in re.findall(r"\b(Decisions|Quirks)\b", tail):
            yield found[1], word


@pytest.mark.parametrize(
    "module", [each for each in MODULES if "docs/" in each.read_text(encoding="utf-8")], ids=place
)
def test_each_cited_section_is_on_its_page(module: Path) -> None:
    """A heading or a decision that a module quotes stands on the page that it names."""
    for page, quoted in cited_sections(module.read_text(encoding="utf-8")):
        text = re.sub(r"[*`]", "", (TOP / page).read_text(encoding="utf-8"))
        assert re.sub(r"[*`]", "", quoted) in " ".join(text.split()), f"{page}: {quoted!r}"


def slugs(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link leads to a file, and its anchor to a heading."""
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text()):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in slugs(target), f"{path}#{anchor}"


def test_every_page_can_be_found() -> None:
    """Each page is linked from another."""
    linked = {
        (page.parent / path).resolve()
        for page in PAGES
        for path in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    }
    pages = {page for page in DOCS.rglob("*.md") if page.parent.name != "machines"}
    assert sorted(place(page) for page in pages - linked) == []


def test_the_table_of_causes_is_the_vocabulary() -> None:
    """Each cause stands on the page of troubleshooting with its words and its next step."""
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(.*?)` \| (.*?) \| (.*?) \|$", page, re.MULTILINE)
    assert rows == [
        (cause.value, f"{words.en} · {words.zh}", f"{words.advice} · {words.advice_zh}")
        for cause, words in WORDS.items()
    ]
    assert set(WORDS) == set(Cause)


def test_the_table_of_protocols_is_the_tree() -> None:
    """The table protocol → package of the architecture names every package of these rooms."""
    table = section("architecture.md", "A protocol in each room")
    named = set(re.findall(r"`((?:wire|devices|uplinks|web|twin)/[\w/.]+)`", table))
    top = TOP / "twisted_gantry"
    for each in named:
        assert (top / each).exists(), each
    found = {
        f"{room}/{entry.name}"
        for room in ROOMS
        for entry in (top / room).iterdir()
        if entry.is_dir() and entry.name != "__pycache__"
    }
    audiences = {"web/api", "web/page"}  # for people and programs, in no protocol of the site
    assert found - audiences <= {each.rstrip("/") for each in named}


# -- the configuration


def rows(text: str) -> dict[str, str]:
    """Return the first two cells of each row of the settings tables: key and default."""
    return dict(re.findall(r"^\| `([^`]+)` \| (.+?) \|", text, re.MULTILINE))


def default(field: Any) -> str:
    """Return how a default is written in a table."""
    if field.required:
        return "**required**"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if value is None:
        return "none"
    value = list(value) if isinstance(value, tuple) else value
    return f"`{msgspec.json.format(msgspec.json.encode(value), indent=0).decode()}`"


def check_table(text: str, *structs: Any) -> None:
    """See that a section has exactly the keys of these settings, each with its default. The keys of
    TLS stand in the section of `[tls]` alone.
    """
    fields = {f.encode_name: default(f) for each in structs for f in msgspec.structs.fields(each)}
    if TlsSettings not in structs:
        fields = {key: each for key, each in fields.items() if key not in TLS_KEYS}
    assert rows(text) == fields


TLS_KEYS = {f.name for f in msgspec.structs.fields(TlsSettings)}
KINDS = {each.name: each.load() for each in entry_points(group=DEVICE_KINDS)}
_TOGETHER = {"ups-card": ("ups-card", "ups-card-http"), "ups-card-http": ("ups-card",)}


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_is_in_the_configuration(name: str) -> None:
    """The section of a kind has its keys with their defaults, and its commands."""
    text = section("configuration.md", f"`{name}`")
    sharing = {name, *_TOGETHER.get(name, ())}
    check_table(text, *(KINDS[each].settings for each in sorted(sharing)))
    device, _ = built(name)
    assert [each for each in device.commands if f"`{each}`" not in text] == []


def tables() -> dict[str, Any]:
    """Return the settings of each table but `[[device]]`, by its heading."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(Settings).items():
        types = [each for each in (hint, *get_args(hint)) if isinstance(each, type)]
        struct = next((each for each in types if issubclass(each, msgspec.Struct)), None)
        if struct is not None:
            found[f"[uplink.{name}]" if name in ("etc", "fogslink") else f"[{name}]"] = struct
    return found | {
        "[bridge.mqtt]": MqttSettings,
        "[bridge.nut]": NutSettings,
        "[bridge.modbus]": ModbusServerSettings,
        "[[bridge.nut.user]]": NutUser,
        "[[web.user]]": UserSettings,
        "[[cabinet]]": CabinetSettings,
        "[[interlock]]": InterlockSettings,
        "[[alarm]]": OwnRuleSettings,
        "[[device.adjust]]": AdjustSettings,
        "[[device.point]]` of `modbus": RegisterPoint,
        "[[device.command]]` of `modbus": RegisterCommand,
        "[[device.point]]` of `http-json": JsonPoint,
    }


TABLES = tables()


@pytest.mark.parametrize("table", TABLES)
def test_each_table_is_in_the_configuration(table: str) -> None:
    """The section of a table has its keys with their defaults."""
    check_table(section("configuration.md", f"`{table}`"), TABLES[table])


@pytest.mark.parametrize("name", NOTIFY_KINDS)
def test_each_kind_of_target_is_in_the_configuration(name: str) -> None:
    """The section of a kind of target has its own keys; those of all stand above, once."""
    reached = msgspec.structs.fields(ReachedSettings)  # those of all, and of all on the network
    shared = {f.name for f in reached}
    own = msgspec.structs.fields(NOTIFY_KINDS[name].settings)
    keys = {f.encode_name: default(f) for f in own if f.name not in shared}
    assert rows(section("configuration.md", f"notify `{name}`")) == keys
    text = section("configuration.md", "`[[notify]]`").partition("\n### ")[0]
    assert rows(text) == {f.name: default(f) for f in reached if f.name not in TLS_KEYS}


def all_tables(page: str) -> dict[tuple[str, ...], dict[str, str]]:
    """Return the keys and defaults of each section of a page, by the code in its heading."""
    _, *parts = re.split(
        r"^#+ (.+)\n", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    sections = zip(parts[::2], parts[1::2], strict=True)
    return {
        tuple(sorted(re.findall("`.+?`", head))): found
        for head, text in sections
        if (found := rows(text))
    }


def test_the_configuration_in_chinese_has_the_same_tables() -> None:
    """The Chinese page has each table with the same keys in the same order, and their defaults."""
    words = {"**必填**": "**required**", "无": "none"}
    chinese = {
        name: [(key, words.get(each, each)) for key, each in table.items()]
        for name, table in all_tables("zh/configure.md").items()
    }
    english = all_tables("configuration.md")
    assert chinese == {name: list(table.items()) for name, table in english.items()}


# -- the points


_MAPPED: Any = {"name": "voltage", "unit": "V", "label_zh": "电压"}
GIVEN: dict[str, dict[str, Any]] = {
    "ups-card": {"address": "tcp:h:1"},
    "ups-card-http": {"url": "http://h/", "callback": "http://h:1/post"},
    "cfos": {"url": "http://h"},
    "bms": {"url": "http://h", "device_uid": "x"},
    "cabinet": {"url": "http://h/remotecontrol.do", "auth": Secret("x")},
    "relay": {"address": "tcp:h:1", "on": "01", "off": "00"},
    "modbus": {"address": "tcp:h:1", "point": (RegisterPoint(**_MAPPED, register=0),)},
    "http-json": {"url": "http://h/", "point": (JsonPoint(**_MAPPED, pointer="/u"),)},
}


def built(name: str) -> tuple[Any, list[PointType]]:
    """Return a device of a kind, not started, and its points."""
    bench, nothing, kind = Bench(), cast("Any", None), KINDS[name]
    context = replace(bench.context, reactor=nothing)
    device = kind.build("d", kind.settings(**GIVEN.get(name, {})), context)
    return device, [bench.points.catalogue[point.name] for point in bench.points.under("d.")]


def types(name: str) -> list[PointType]:
    """Return the points of a kind, those of its first parts and rows among them."""
    _, own = built(name)
    if name == "cfos":
        return [*own, *part_points("E1"), *part_points("M1"), *feed_points("E1")]
    if name == "cabinet":
        arrays = [each for each, shape in GROUPS.items() if shape.is_array]
        return [*own, *(point for group in arrays for point in group_points(group, "1"))]
    return own


@pytest.mark.parametrize("name", KINDS)
def test_each_point_is_on_the_page(name: str) -> None:
    """The section of a kind has a row for each point: name, unit, label, 名称."""
    text = section("points.md", f"`{name}`")
    missing = [
        row
        for each in types(name)
        if (row := f"| `{each.name}` | {each.unit or '–'} | {each.en} | {each.zh} |") not in text
    ]
    assert missing == [], "\n".join(missing)


# -- the example of a kind

EXAMPLE = DOCS / "example-device"


@pytest.mark.parametrize("name", ["pyproject.toml", "gantry_meter.py", "test_meter.py"])
def test_the_example_is_printed_whole(name: str) -> None:
    """The tutorial shows each file of the example as it is run."""
    code = (EXAMPLE / name).read_text(encoding="utf-8")
    language = "toml" if name.endswith("toml") else "python"
    assert f"```{language}\n{code}```" in (DOCS / "adding-a-device.md").read_text(encoding="utf-8")


@pytest.fixture
def meter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example as another package installs it: a module, and an entry point."""
    shutil.copy(EXAMPLE / "gantry_meter.py", tmp_path)
    info = tmp_path / "gantry_meter-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gantry-meter\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        f"[{DEVICE_KINDS}]\njson-meter = gantry_meter:kind\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return import_module("gantry_meter")


def test_the_example_is_found_as_an_entry_point(meter: Any) -> None:
    """A configuration may name the kind, and its settings are checked."""
    text = """
        [gantry]
        id = "G1"
        [[device]]
        name = "m1"
        kind = "json-meter"
        url = "http://meter.test/"
        token = "s3cret"
        """
    [entry] = load(text, "site.toml").devices
    assert (entry.kind.kind, entry.settings) == (
        "json-meter",
        meter.MeterSettings(url="http://meter.test/", token=Secret("s3cret")),
    )
