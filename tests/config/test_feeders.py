"""`fed_by`: which device loses its supply with which."""

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from tests.config.test_full import FULL
from twisted_gantry.config.load import load
from twisted_gantry.devices.kind import DeviceKind
from twisted_gantry.devices.upscard.driver import kind as ups_card
from twisted_gantry.settings.tables import ConfigError
from twisted_gantry.wire.causes import Graph, Link

UPS2 = '[[device]]\nname = "ups2"\nkind = "ups-card"\naddress = "tcp:192.168.1.21:2390"\n'


def fed(more: str = "", **feeders: str) -> Graph:
    """Return the graph of a site whose devices have these `fed_by`, as TOML."""
    text = FULL + UPS2 + more
    for name, feeder in feeders.items():
        text = text.replace(f'name = "{name}"\n', f'name = "{name}"\nfed_by = {feeder}\n')
    return load(text).graph()


def test_what_feeds_what() -> None:
    """A chain of feeders, and the mains by name."""
    graph = fed(cfos='"ups2"', ups2='"ups1"', bms1='"mains"')
    assert graph.feeders == {"cfos": "ups2", "ups2": "ups1", "bms1": "mains"}
    assert graph.feeds("ups1", "cfos")
    assert not graph.feeds("cfos", "ups1")


@pytest.mark.parametrize(
    ("feeders", "keys", "text"),
    [
        ({"cfos": '"ups9"'}, ["device[2].fed_by"], "there is no device 'ups9'"),
        ({"cfos": '"bms1"'}, ["device[2].fed_by"], "bms1 feeds nothing; a UPS or a relay does"),
        ({"cfos": "1"}, ["device[2].fed_by"], "must be text; it is 1"),
        ({"ups1": '"ups1"'}, ["device[1].fed_by"], "would feed itself"),
        (
            {"ups1": '"ups2"', "ups2": '"ups1"'},
            ["device[1].fed_by", "device[5].fed_by"],
            "would feed itself",
        ),
    ],
)
def test_a_wrong_feeder_is_told(feeders: dict[str, str], keys: list[str], text: str) -> None:
    """A device that is not there, that feeds nothing, or that would feed itself."""
    with pytest.raises(ConfigError) as caught:
        fed(**feeders)
    assert [problem.key for problem in caught.value.problems] == keys
    assert all(text in problem.message for problem in caught.value.problems)


def pump(monkeypatch: pytest.MonkeyPatch, *links: Link) -> None:
    """Let another package add the kind `pump`, which declares these links."""
    made: Any = DeviceKind("pump", ups_card.settings, ups_card._build, causes=links)
    monkeypatch.setattr(EntryPoint, "load", lambda _: made)


def test_a_kind_of_another_package_declares_causes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its links hold for its devices; links in a circle are a mistake of the driver."""
    text = '[gantry]\nid = "G1"\n' + UPS2
    pump(monkeypatch, Link("motor-hot", "flow-low"))
    assert load(text).graph().own == {"ups2": (Link("motor-hot", "flow-low"),)}
    pump(monkeypatch, Link("offline", "flow-low"), Link("flow-low", "offline"))
    with pytest.raises(ConfigError, match="causes in a circle: flow-low → offline"):
        load(text)
