"""The configuration: what passes, and every mistake with its line, its key and no secret."""

import importlib.metadata
import json
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from zope.interface import implementer

from twisted_gantry.config.devices import DEVICE_KINDS
from twisted_gantry.config.load import check_file, load, load_demo, load_file
from twisted_gantry.core.interfaces import DeviceContext, IDevice, IDeviceKind, WrongSetting
from twisted_gantry.core.site import Cabinet
from twisted_gantry.devices.computer import ComputerSettings
from twisted_gantry.devices.upscard.driver import UpsCardSettings
from twisted_gantry.settings.tables import ConfigError
from twisted_gantry.wire.secret import Secret

SECRET = "hunter2-secret"
GANTRY = '[gantry]\nid = "G000211001002110010"\n'
CARD = '[[device]]\nname = "ups1"\nkind = "ups-card"\naddress = "tcp:192.168.1.20:2390"\n'
NEW_CARD = '[[device]]\nname = "a"\nkind = "ups-card"\n'
ETC = '[uplink.etc]\nurl = "https://platform.example/monitor.do"\nauth = "code"\n'


def problems(text: str, folder: Path = Path()) -> list[str]:
    """Return what is wrong with a configuration, each with its place."""
    try:
        load(text, "site.toml", folder)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


def marked(text: str) -> set[int]:
    """Return the lines, from 1, on which a test has marked a mistake."""
    return {n for n, line in enumerate(text.splitlines(), 1) if line.endswith("# !")}


# -- what passes


def test_the_demo_has_no_mistake() -> None:
    """The configuration of the demonstration passes."""
    demo = load_demo()
    names = ["ups1", "ups2", "cfos", "bms1", "cab1", "pc1"]
    assert [device.name for device in demo.devices] == names
    [etc] = demo.etc
    [fogslink] = demo.fogslink
    assert fogslink.channels == {"P0-C1": "ups1.input_voltage_r"}
    assert demo.remotecontrol is not None
    assert demo.remotecontrol.auth == etc.auth
    assert demo.monitor is not None


def test_the_example_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of the documentation is read key by key."""
    monkeypatch.setenv("UPS1_PASSWORD", "p1")
    monkeypatch.setenv("CFOS_PASSWORD", "p2")
    (tmp_path / "fogslink").write_text("the key\n")
    (tmp_path / "etc-auth").write_text("the-code\n")
    (tmp_path / "gantry.toml").write_text("""
[gantry]
id = "G000211001002110010"

[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:192.168.1.20:2390"      # any client endpoint string
poll = 2.0
password = { env = "UPS1_PASSWORD" }

[[device]]
name = "ups2"
kind = "ups-card-http"
url = "http://192.168.1.21/"
callback = "http://192.168.1.5:9000/post"

[[device]]
name = "cfos"
kind = "cfos"
url = "http://192.168.1.30"
user = "admin"
password = { env = "CFOS_PASSWORD" }

[[device]]
name = "bms1"
kind = "bms"
url = "https://www.einfra.cn/wad/ems/v1/api"
device_uid = "xxxxx"

[[device]]
name = "cab1"
kind = "cabinet"
url = "http://192.168.1.40:3699/remotecontrol.do"
auth = "its-code"

[[device]]
name = "pc1"
kind = "computer"

[[cabinet]]
id = "1"
elec = ["ups1", "cfos.M1"]
ups = ["ups1", "ups2"]
doors = "cab1"

[uplink.etc]
url = "https://platform.example/monitor.do"
auth = { file = "etc-auth" }

[uplink.fogslink]
address = "tcp:www.fogslink.com:63321"
eq_sn = "12345678"
api_key = { file = "fogslink" }
[uplink.fogslink.channels]
"P0-C1" = "ups1.input_voltage_r"

[remotecontrol]
listen = "tcp:3699"

[monitor]
listen = "tcp:8082"
auth = "cabinets"
""")
    site = load_file(tmp_path / "gantry.toml")
    assert check_file(tmp_path / "gantry.toml") == []
    assert (site.gantry.id, site.gantry.timezone) == ("G000211001002110010", "Asia/Shanghai")
    ups1, _, _, _, _, pc1 = site.devices
    assert ups1.kind.kind == "ups-card"
    assert ups1.settings == UpsCardSettings(
        address="tcp:192.168.1.20:2390", poll=2.0, password=Secret("p1")
    )
    assert (pc1.name, pc1.settings) == ("pc1", ComputerSettings())
    assert site.cabinets == (
        Cabinet("1", {"elec": ("ups1", "cfos.M1"), "ups": ("ups1", "ups2"), "doors": ("cab1",)}),
    )
    [etc] = site.etc
    assert etc.auth == Secret("the-code")
    assert (etc.period, etc.cards_period) == (300.0, 300.0)
    assert site.web.listen == "tcp:8080:interface=127.0.0.1"
    assert site.remotecontrol is not None
    assert site.remotecontrol.auth == Secret("the-code")
    [fogslink] = site.fogslink
    assert fogslink.api_key == Secret("the key")


def test_a_gantry_alone_is_enough() -> None:
    """A gantry without devices and uplinks can be run, to see its page."""
    site = load(GANTRY)
    assert (site.devices, site.cabinets, site.etc) == ((), (), ())


def test_keys_are_read_in_any_order_and_form() -> None:
    """Dotted keys and inline tables say the same as tables, and devices may come after cabinets."""
    text = """
gantry.id = "G1"
cabinet = [{ id = "1", ups = ["b"] }]
device = [{ name = "b", kind = "ups-card", address = "tcp:h:1" }]
uplink = { etc = { url = "http://h/", auth = "x" } }
"""
    site = load(text)
    assert site.cabinets[0].sources == {"ups": ("b",)}
    assert site.etc


# -- each mistake, on its line


COMPUTER = '[[device]]\nkind = "computer"\n'
NAMED = '[[device]]\nname = "a"\n'
CABINET = '[[cabinet]]\nid = "1"\n'
MISTAKES = [
    # Behind the mark: the key, and parts of the message. [gantry] is added where it is missing.
    "[monitr] # ! monitr | unknown key",
    "[uplnk.etc] # ! uplnk | did you mean uplink?",
    "[uplink.ect] # ! uplink.ect | did you mean etc?",
    "nmae = 1 # ! gantry.nmae | did you mean name?",
    "[gantry] # ! gantry.id | is missing",
    '[gantry]\nid = "" # ! gantry.id | length >= 1',
    f'[gantry]\nid = "{"G" * 21}" # ! gantry.id | length <= 20 | {"G" * 21}',
    "[gantry]\nid = 5 # ! gantry.id | expected str | it is 5",
    "timezone = \"Moon/Sea\" # ! gantry.timezone | 'Moon/Sea'",
    'timezone = "" # ! gantry.timezone | no such',
    'timezone = "../../etc/passwd" # ! gantry.timezone | no such',
    f"web = 1 # ! web | must be a table\n{GANTRY}",
    "[device] # ! device | [[device]]",
    '[[device]] # ! device[1].name | is missing\nkind = "computer"',
    f"{COMPUTER}name = \"a.b\" # ! device[1].name | 'a.b'",
    f"{COMPUTER}name = [1] # ! device[1].name | [1]",
    f'{COMPUTER}name = "{"a" * 33}" # ! device[1].name | {"a" * 33}',
    f"{COMPUTER}name = \"etc\" # ! device[1].name | 'etc' | taken",
    f"{CARD}{COMPUTER}name = \"ups1\" # ! device[2].name | second | 'ups1'",
    '[[device]] # ! device[1].kind | is missing\nname = "a"',
    f"{NAMED}kind = \"toaster\" # ! device[1].kind | 'toaster' | relay, ups-card",
    f'{NAMED}kind = ["computer"] # ! device[1].kind | unknown kind',
    f'{COMPUTER}name = "a"\naddress = "tcp:h:1" # ! device[1].address | unknown key',
    '[[device]] # ! device[1].address | is missing\nname = "a"\nkind = "ups-card"',
    f'{NEW_CARD}address = "192.168.1.20" # ! device[1].address',
    f'{NEW_CARD}address = "tcp:h" # ! device[1].address',
    f'{NEW_CARD}address = "tls:h:1:certificate=/no" # ! device[1].address | certificate=/no',
    f"{CARD}poll = 0.09 # ! device[1].poll | >= 0.1 | 0.09",
    f"{CARD}poll = 0 # ! device[1].poll | >= 0.1",
    f"{CARD}poll = 4e7 # ! device[1].poll | <= 31536000",
    f"{CARD}poll = nan # ! device[1].poll | nan",
    f"{CARD}poll = \"2 s\" # ! device[1].poll | '2 s'",
    f"{CARD}poll = true # ! device[1].poll | bool",
    f"{CARD}runtime_unit = \"h\" # ! device[1].runtime_unit | 'h'",
    f'{CARD}password = "{"x" * 99}" # ! device[1].password | 15',
    "[[cabinet]] # ! cabinet[1].id | is missing",
    f"{CABINET}[[cabinet]]\nid = \"1\" # ! cabinet[2].id | second | '1'",
    f'{CARD}{CABINET}ups = ["ups1", "ups9"] # ! cabinet[1].ups | \'ups9\'',
    f"{CABINET}doors = \"cab1\" # ! cabinet[1].doors | 'cab1'",
    f'{CARD}{CABINET}doors = "ups1" # ! cabinet[1].doors | ups-card | doors',
    f"{CABINET}ups = [5] # ! cabinet[1].ups | [5]",
    f"{CABINET}upss = [] # ! cabinet[1].upss | did you mean ups?",
    f"{CABINET}ups_meaning = \"dc\" # ! cabinet[1].ups_meaning | 'dc'",
    '[uplink.etc] # ! uplink.etc.url | is missing\nauth = "code"',
    '[uplink.etc] # ! uplink.etc.auth | is missing\nurl = "http://h/"',
    f"{ETC}period = 0.5 # ! uplink.etc.period | >= 1",
    f"{ETC}period = 4e7 # ! uplink.etc.period | <= 31536",
    f"{ETC}period = inf # ! uplink.etc.period | inf",
    f"{ETC}cards_period = 0 # ! uplink.etc.cards_period | >= 1",
    '[web]\nlisten = "8080" # ! web.listen | tcp:8080:interface=127.0.0.1',
    "[web]\nlisten = 'tcp:80\\' # ! web.listen",
    f"[web]\nlisten = 'ssl:1:interface=127.0.0.1:privateKey={__file__}' # ! web.listen",
    '[web]\nlisten = "tcp:8080" # ! web.listen | password or token',
    '[web]\nlisten = "tcp:8080:interface=192.168.1.5" # ! web.listen | password or token',
]


@pytest.mark.parametrize("text", MISTAKES, ids=lambda text: text.partition("# ! ")[2][:60])
def test_a_mistake_is_told_with_line_and_key(text: str) -> None:
    """Each mistake is the only problem, on its line, under its key, with the offending value."""
    text = text if "[gantry]" in text else GANTRY + text
    [(number, mark)] = [(n, line) for n, line in enumerate(text.splitlines(), 1) if " # ! " in line]
    key, *parts = mark.partition(" # ! ")[2].split(" | ")
    with pytest.raises(ConfigError) as caught:
        load(text, "site.toml")
    [problem] = caught.value.problems
    assert (problem.source, problem.line, problem.key) == ("site.toml", number, key)
    assert [part for part in parts if part not in problem.message] == []


def test_an_address_cut_short_is_a_problem() -> None:
    """An address that ends in the middle of an escape is a problem of its device."""
    address = "address = 'tcp:192.168.1.20:2390\\'"
    [problem] = problems(f"{GANTRY}[[device]]\nname = 'a'\nkind = 'ups-card'\n{address}\n")
    assert ": device[1]" in problem


@pytest.mark.parametrize(
    "line", ["poll = 0.1", "poll = 1", "poll = 3600", 'runtime_unit = "min"', "battery_ah = 100"]
)
def test_a_device_within_its_bounds_passes(line: str) -> None:
    """What is exactly at a bound is within it."""
    assert problems(f"{GANTRY}{CARD}{line}\n") == []


@pytest.mark.parametrize("line", ["period = 1", "period = 86400", "cards_period = 1.0"])
def test_an_uplink_within_its_bounds_passes(line: str) -> None:
    """What is exactly at a bound is within it."""
    assert problems(f"{GANTRY}{ETC}{line}\n") == []


@pytest.mark.parametrize(
    "line",
    [
        'listen = "unix:/run/gantry/web.sock"',
        'listen = "tcp:8080:interface=127.0.0.1"',
        'listen = "tcp:8080"\npassword = "p"',
        'listen = "tcp:8080:interface=192.168.1.5"\ntoken = "t"',
    ],
)
def test_a_web_that_is_guarded_passes(line: str) -> None:
    """On loopback nothing is needed, elsewhere a password or a token."""
    assert problems(f"{GANTRY}[web]\n{line}\n") == []


def test_ten_mistakes_are_told_at_once() -> None:
    """All mistakes of a file are told in one go, in the order of its lines."""
    text = """\
[gantry]
id = "G000211001002110010"
timezone = "Moon/Sea" # !
colour = "red" # !

[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:192.168.1.20" # !
poll = 0.01 # !
password = { env = "NOT_SET_ANYWHERE" } # !

[[device]]
name = "ups1" # !
kind = "toaster" # !

[[cabinet]]
id = "1"
ups_meaning = "dc" # !
ups = ["ups1", "ups2"] # !
doors = "ups1" # !

[uplink.etc]
url = "ftp://platform.example/" # !
auth = "code"
period = 0.1 # !

[web]
listen = "tcp:8080" # !
"""
    told = problems(text)
    lines = [int(each.split(":")[1]) for each in told]
    assert set(lines) == marked(text)
    assert lines == sorted(lines)
    assert len(lines) == len(marked(text)) >= 10


def test_a_device_with_a_mistake_is_still_a_device() -> None:
    """A reference to a device that has a mistake of its own is not a second mistake."""
    text = f'{GANTRY}{CARD}poll = 0 # !\n[[cabinet]]\nid = "1"\nups = "ups1"\n'
    assert len(problems(text)) == 1


# -- the uplink's address


@pytest.mark.parametrize(
    "url",
    [
        "ftp://platform.example/",
        "platform.example/monitor.do",
        "http://",
        "http:///monitor.do",
        "http://[::1",
        "http://h:99999/",
        "http://h:port/",
        "http://h:0/",
        "",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """What is no address of a web server is refused, and shown."""
    [problem] = problems(f"{GANTRY}[uplink.etc]\nurl = {json.dumps(url)}\nauth = 'code'\n")
    assert problem.startswith("site.toml:4: uplink.etc.url: must be http")
    assert repr(url) in problem


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@platform.example/",
        f"http://{SECRET}@platform.example/",
        f"ftp://user:{SECRET}@platform.example/",
        f"user:{SECRET}@platform.example",
        f"http://user:{SECRET}/@platform.example/",
        f"http://user:{SECRET}@[::1",
    ],
)
def test_an_address_with_a_user_is_refused(url: str) -> None:
    """A user or a password in the address is refused, and not shown."""
    told = problems(f"{GANTRY}[uplink.etc]\nurl = '{url}'\nauth = 'code'\n")
    assert len(told) == 1
    assert "user or a password" in told[0]
    assert SECRET not in told[0]


@pytest.mark.parametrize(
    ("url", "passes"),
    [
        ("http://127.0.0.1:8088/monitor.do", True),
        ("http://127.8.9.1/", True),
        ("http://[::1]/", True),
        ("http://localhost/", True),
        ("http://192.168.1.9/", False),
        ("https://platform.example/", False),
        ("http://127.0.0.1.platform.example/", False),
        ("http://localhost.platform.example/", False),
        ("http://0.0.0.0/", False),
    ],
)
def test_the_test_code_is_for_loopback(url: str, passes: bool) -> None:
    """The code of the test period is refused off loopback, unless that is said to be wanted."""
    text = f"{GANTRY}[uplink.etc]\nurl = '{url}'\nauth = '123456'\n"
    told = problems(text)
    if passes:
        assert told == []
    else:
        [problem] = told
        assert problem.startswith("site.toml:5: uplink.etc.auth: ")
        assert "allow_test_auth" in problem
    assert problems(f"{text}allow_test_auth = true\n") == []


def test_the_test_code_from_elsewhere_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of the test period is refused wherever it is read from."""
    monkeypatch.setenv("ETC_AUTH", "123456")
    text = (
        f"{GANTRY}[uplink.etc]\nurl = 'http://platform.example/'\nauth = {{ env = 'ETC_AUTH' }}\n"
    )
    assert len(problems(text)) == 1


# -- secrets


def _card_password(text: str, folder: Path = Path()) -> Secret | None:
    site = load(f"{GANTRY}{CARD}password = {text}\n", "site.toml", folder)
    card = site.devices[0].settings
    assert isinstance(card, UpsCardSettings)
    return card.password


def test_a_secret_is_plain_or_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret is a text of the file, or what a variable holds, as it is."""
    monkeypatch.setenv("UPS_PASSWORD", " p w ")
    assert _card_password('"plain"') == Secret("plain")
    assert _card_password('{ env = "UPS_PASSWORD" }') == Secret(" p w ")


WINDOWS = [
    "code",
    "code\n",
    "code\r\n",
    "code\n\n",
    "\ufeffcode\r\n",
    " code \t\r\n",
    "code\u3000\0",
]


@pytest.mark.parametrize("text", WINDOWS)
def test_a_secret_in_a_file_is_its_line(tmp_path: Path, text: str) -> None:
    """A byte order mark, blanks and line ends around a secret are no part of the secret."""
    (tmp_path / "secret").write_bytes(text.encode())
    assert _card_password(f'{{ file = "{tmp_path}/secret" }}') == Secret("code")


def test_a_relative_secret_file_is_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative name of a secret file counts from the folder of the configuration file."""
    etc, elsewhere = tmp_path / "etc", tmp_path / "elsewhere"
    (etc / "secrets").mkdir(parents=True)
    elsewhere.mkdir()
    (etc / "secrets" / "ups1").write_text("p1\n")
    config = etc / "gantry.toml"
    config.write_text(f'{GANTRY}{CARD}password = {{ file = "secrets/ups1" }}\n')
    monkeypatch.chdir(elsewhere)
    card = load_file(config).devices[0].settings
    assert isinstance(card, UpsCardSettings)
    assert card.password == Secret("p1")


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ('""', "must not be empty"),
        ("1234", "must be a text"),
        ("{ env = 5 }", "must be a text"),
        ("{}", "must be a text"),
        ("{ env = 'A', file = 'B' }", "must be a text"),
        ("{ vault = 'A' }", "must be a text"),
        (f"['{SECRET}']", "must be a text"),
        (f"{{ value = '{SECRET}' }}", "must be a text"),
        ("{ env = 'NOT_SET_ANYWHERE' }", "the environment has no NOT_SET_ANYWHERE"),
        ("{ env = 'SET_TO_NOTHING' }", "the environment has no SET_TO_NOTHING"),
        ("{ env = 'hunter2' }", "the environment has no variable of the name given"),
        ("{ file = 'nowhere' }", "No such file"),
        ("{ file = '.' }", "directory"),
        ("{ file = 'empty' }", "is empty"),
        ("{ file = 'binary' }", "not UTF-8"),
    ],
)
def test_a_secret_that_cannot_be_read_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, part: str
) -> None:
    """A secret of another shape, or from where there is none, is told without any value."""
    monkeypatch.setenv("SET_TO_NOTHING", "")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe" + SECRET.encode())
    [problem] = problems(f"{GANTRY}{CARD}password = {value}\n", tmp_path)
    assert problem.startswith("site.toml:7: device[1].password: ")
    assert part in problem
    assert SECRET not in problem


def test_no_secret_is_ever_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings nor any problem show a secret, wherever it stands in the file."""
    monkeypatch.setenv("THE_SECRET", SECRET)
    (tmp_path / "secret").write_text(SECRET)
    good = f"""
{GANTRY}
{CARD}
password = {{ env = "THE_SECRET" }}
[uplink.etc]
url = "https://platform.example/"
auth = {{ file = "secret" }}
[web]
password = "{SECRET}"
token = "{SECRET}"
"""
    site = load(good, "site.toml", tmp_path)
    [etc] = site.etc
    assert etc.auth.reveal() == SECRET
    assert SECRET not in f"{site!r} {site}"
    bad = good.replace("password", "pasword").replace("token", "tokn").replace("auth", "aut")
    bad += f"[[cabinet]]\nid = '{'x' * 30}'\nauth = '{SECRET}'\n"
    worse = good.replace("[web]", "[web]\nlisten = 'tcp:1'\n[weeb]").replace(
        CARD, f"{CARD}poll=0\n"
    )
    for text in (bad, worse):
        told = problems(text, tmp_path)
        assert len(told) >= 2
        assert SECRET not in "".join(told)


# -- the command line


def test_an_option_wins_over_the_file() -> None:
    """Another place to listen replaces that of the file, all else stays."""
    site = load(f"{GANTRY}[web]\npassword = 'p'\n")
    other = site.listening_on("tcp:9090")
    assert other.web.listen == "tcp:9090"
    assert other.web.password == Secret("p")
    assert (other.gantry, other.devices) == (site.gantry, site.devices)


@pytest.mark.parametrize("endpoint", ["tcp:9090", "9090", "tcp:90\\"])
def test_an_option_is_checked_like_the_file(endpoint: str) -> None:
    """A place to listen that the file could not have is refused on the command line as well."""
    with pytest.raises(ConfigError, match=r"^--web: "):
        load(GANTRY).listening_on(endpoint)


# -- the file


def test_a_syntax_error_is_told_with_its_line(tmp_path: Path) -> None:
    """What is no TOML is told with the file and the line."""
    config = tmp_path / "gantry.toml"
    config.write_text(f"{GANTRY}name = demo\n")
    [problem] = check_file(config)
    assert str(problem).startswith(f"{config}:3: no TOML: ")


@pytest.mark.parametrize(
    ("before", "behind"),
    [("\ufeff", ""), ("\ufeff ", "\r\n \r\n"), (" ", " \t"), ("", "\u3000"), ("", "\0\0\x1a")],
)
def test_a_file_of_windows_is_read(tmp_path: Path, before: str, behind: str) -> None:
    """A byte order mark, CRLF and blanks around a configuration change neither it nor its lines."""
    config = tmp_path / "site.toml"
    text = GANTRY.replace("\n", "\r\n")
    config.write_bytes(f"{before}{text}{behind}".encode())
    assert load_file(config).gantry.id == "G000211001002110010"
    config.write_bytes(f"{before}{text}nam = 1{behind}".encode())
    [problem] = check_file(config)
    assert str(problem).startswith(f"{config}:3: gantry.nam: unknown key")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A file that cannot be opened is a problem that names it."""
    [missing] = check_file(tmp_path / "none.toml")
    assert str(missing) == f"{tmp_path}/none.toml: No such file or directory"
    [folder] = check_file(tmp_path)
    assert "directory" in str(folder)


def test_a_file_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    """A file in another encoding is a problem that says so."""
    config = tmp_path / "gantry.toml"
    config.write_bytes('[gantry]\nid = "G1"\nname = "门架"\n'.encode("gbk"))
    [problem] = check_file(config)
    assert str(problem) == f"{config}: is not UTF-8"


# -- kinds of other packages


class OddSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a kind from elsewhere."""

    level: int = 0


@implementer(IDeviceKind)
class OddKind:
    """A kind from elsewhere that fails in its own way."""

    kind = "odd"
    settings = OddSettings
    groups = frozenset({"doors"})
    parts = ""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def build(self, name: str, settings: Any, context: DeviceContext) -> IDevice:
        raise self.error


def _install(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> None:
    real = importlib.metadata.entry_points(group=DEVICE_KINDS)
    monkeypatch.setattr(
        "twisted_gantry.config.devices.entry_points", lambda group: EntryPoints([*real, *points])
    )


def _problems_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> list[str]:
    monkeypatch.setitem(globals(), "odd", OddKind(error))
    _install(monkeypatch, EntryPoint("odd", f"{__name__}:odd", DEVICE_KINDS))
    return problems(f"{GANTRY}[[device]]\nname = 'a'\nkind = 'odd'\nlevel = 3\n")


@pytest.mark.parametrize(
    "value", ["no.such.module:kind", "json:no_such_name", "json", "json:", "no value"]
)
def test_a_driver_that_does_not_load_is_told(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A kind whose package is broken is a problem of the devices that want it, and of no other."""
    _install(monkeypatch, EntryPoint("broken", value, DEVICE_KINDS))
    [problem] = problems(f"{GANTRY}{CARD}[[device]]\nname = 'a'\nkind = 'broken'\n")
    assert problem.startswith("site.toml:9: device[2].kind: the driver of 'broken'")
    assert problems(f"{GANTRY}{CARD}") == []


def test_a_driver_names_the_setting_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a driver says of a setting is told under its key, on its line."""
    told = _problems_with(monkeypatch, WrongSetting("level", "is odd"))
    assert told == ["site.toml:6: device[1].level: is odd"]


@pytest.mark.parametrize(
    "error",
    [ValueError("is odd"), ZeroDivisionError(), KeyError("key"), OSError(2, "No such file")],
)
def test_a_driver_that_fails_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever a driver raises when it is tried is a problem of its device."""
    [problem] = _problems_with(monkeypatch, error)
    assert problem.startswith("site.toml:3: device[1]: ")
    assert (str(error) or type(error).__name__) in problem


# -- any text


def _toml_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


_TEXTS = st.text(max_size=8) | st.sampled_from(
    [
        "G1",
        "1",
        "a",
        "b",
        "etc",
        "ups-card",
        "computer",
        "Asia/Shanghai",
        "Moon",
        "http://h/",
        "http://[",
        "http://h:x",
        "123456",
        "/",
        "\x00",
        *(
            f"{endpoint}{rest}"
            for endpoint in (
                "tcp:1",
                "tcp:h:1",
                "ssl:1",
                "tls:h:1",
                "unix:a",
                "systemd:a",
                "tcp6:1",
            )
            for rest in ("", "\\", ":", ":x=1", ":interface=127.0.0.1", ":privateKey=/", ":\x00")
        ),
    ]
)
_SCALARS = st.one_of(
    _TEXTS.map(_toml_text),
    st.integers().map(str),
    st.floats(width=32).map(repr),
    st.sampled_from(
        ["true", "nan", "-inf", "1979-05-27", "07:32:00", "0x" + "f" * 5000, "9" * 5000]
    ),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(st.sampled_from(["env", "file", "a"]), inner, max_size=2).map(
            lambda items: "{" + ", ".join(f"{k} = {v}" for k, v in items.items()) + "}"
        ),
    ),
    max_leaves=4,
)
_KEYS = {
    "[gantry]": ["id", "name", "timezone"],
    "[[device]]": ["name", "kind", "address", "password", "poll", "battery_ah", "data_disk"],
    "[[cabinet]]": ["id", "ups", "elec", "doors", "ups_meaning"],
    "[uplink.etc]": ["url", "auth", "period", "allow_test_auth", "backlog_size"],
    "[web]": ["listen", "password", "token"],
    "[uplink]": ["etc", "x"],
    "": ["gantry", "device", "cabinet", "uplink", "web"],
}


@st.composite
def _documents(draw: st.DrawFn) -> str:
    text = ""
    sections = draw(st.lists(st.sampled_from([*_KEYS]), max_size=4))
    for header in sorted(sections, key=bool):
        keys = st.sampled_from(_KEYS[header])
        values = draw(st.dictionaries(keys, _VALUES, max_size=5))
        text += f"{header}\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
    return text


@settings(max_examples=60, derandomize=True)
@given(text=st.text() | _documents())
@example(text="[[cabinet]]\nups = 0x" + "f" * 4000)
def test_any_text_is_settings_or_problems(text: str) -> None:
    """Whatever stands in a configuration, reading it ends with settings or with problems."""
    told: list[str] | None = None
    try:
        load(text)
    except ConfigError as error:
        told = [problem.message for problem in error.problems]
    assert told is None or (told and all(told))
