"""Several uplinks: their names, who may command, who has the white list."""

import pytest

from twisted_gantry.config.load import load
from twisted_gantry.config.settings import Settings
from twisted_gantry.settings.tables import ConfigError

GANTRY = '[gantry]\nid = "G000211001002110010"\n'
REMOTE = '[remotecontrol]\nlisten = "tcp:3699"\n'
DEVICE = '[[device]]\nname = "pc1"\nkind = "computer"\n'


CARDS = (
    "12 uplink.etc[2].cards: the white list comes from one platform, and another has cards = true"
)


def etc(name: str = "", auth: str = "a-code", more: str = "") -> str:
    named = f'name = "{name}"\n' if name else ""
    url = f"https://{name.replace(' ', '-') or 'x'}.example/monitor.do"
    return f'[[uplink.etc]]\n{named}url = "{url}"\nauth = "{auth}"\n{more}\n'


def cloud(name: str, eq_sn: str = "1") -> str:
    return (
        f'[[uplink.fogslink]]\nname = "{name}"\naddress = "tcp:h:1"\neq_sn = "{eq_sn}"\n'
        'api_key = "k"\nchannels = {}\n'
    )


def duties(settings: Settings) -> list[tuple[str, bool | None, bool | None]]:
    return [(each.name, each.commands, each.cards) for each in settings.etc]


def wrong(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(GANTRY + text)
    return [f"{each.line} {each.key}: {each.message}" for each in caught.value.problems]


def test_one_table_is_as_ever() -> None:
    """The one table, and a list of one without a name, are the uplink `etc`."""
    table = load(GANTRY + etc().replace("[[uplink.etc]]", "[uplink.etc]"))
    assert duties(table) == duties(load(GANTRY + etc())) == [("etc", True, True)]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("", "", [(True, True), (False, False)]),
        ("", "commands = true", [(False, True), (True, False)]),
        ("commands = true", "commands = true", [(True, True), (True, False)]),
        ("commands = false", "", [(False, True), (False, False)]),
        ("", "cards = true", [(True, False), (False, True)]),
    ],
)
def test_who_commands(first: str, second: str, expected: list[tuple[bool, bool]]) -> None:
    """The first platform commands and has the white list, unless the settings say otherwise."""
    found = load(GANTRY + etc("road", "one", first) + etc("province", "two", second))
    names = ("road", "province")
    assert duties(found) == [(n, *each) for n, each in zip(names, expected, strict=True)]


def test_the_code_of_the_first_that_commands() -> None:
    """Without a code of its own `remotecontrol.do` takes that of the first that may command."""
    found = load(GANTRY + etc("road", "one") + etc("province", "two", "commands = true") + REMOTE)
    assert found.remotecontrol is not None
    assert found.remotecontrol.auth is not None
    assert found.remotecontrol.auth.reveal() == "two"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (etc() + etc(), ["7 uplink.etc[2].name: 'etc' is the name of another uplink"]),
        (etc("a") + cloud("a"), ["9 uplink.fogslink[1].name: 'a' is the name of another uplink"]),
        (DEVICE + etc("pc1"), ["7 uplink.etc[1].name: 'pc1' is the name of a device"]),
        (etc("store"), ["4 uplink.etc[1].name: 'store' is taken by the program itself"]),
        (etc("cards"), ["4 uplink.etc[1].name: 'cards' is taken by the program itself"]),
        (etc("fogslink"), ["4 uplink.etc[1].name: 'fogslink' is taken by the program itself"]),
        (
            etc("a b"),
            [
                "4 uplink.etc[1].name: letters, digits, _ and -, a letter first; it is 'a b'",
            ],
        ),
        (
            etc("a", "one", "cards = true") + etc("b", "two", "cards = true"),
            [CARDS],
        ),
        (
            etc("a", "one", "commands = true") + etc("b", "one", "commands = true"),
            ["11 uplink.etc[2].auth: the commands of 'a' and of 'b' have the same code"],
        ),
        (
            etc("a", "one", "commands = true")
            + etc("b", "two", "commands = true")
            + REMOTE
            + 'auth = "two"\n',
            ["15 remotecontrol.auth: the commands of 'b' have the same code"],
        ),
        (
            etc("a", "one", "commands = false") + REMOTE,
            ["8 remotecontrol.auth: is missing, and no platform may command"],
        ),
        (
            "[uplink]\netc = [1]\n",
            ["4 uplink.etc: must be tables, each begun with [[uplink.etc]]"],
        ),
        (
            etc("a") + "[[uplink.etc]]\nname = 'b'\nurll = ''\n",
            [
                "8 uplink.etc[2].url: is missing",
                "8 uplink.etc[2].auth: is missing",
                "10 uplink.etc[2].urll: unknown key; did you mean url?",
            ],
        ),
    ],
)
def test_what_is_wrong(text: str, expected: list[str]) -> None:
    """Each mistake is told with its line and its key."""
    assert wrong(text) == expected


def test_two_clouds() -> None:
    """Channels and numbers are each cloud's own."""
    found = load(GANTRY + cloud("a", "1") + cloud("b", "2"))
    assert [(each.name, each.eq_sn) for each in found.fogslink] == [("a", "1"), ("b", "2")]
    assert [(each.name, each.kind) for each in found.destinations()] == [
        ("a", "fogslink"),
        ("b", "fogslink"),
    ]
