"""Values of Fogslink channels, in both engines."""

from collections.abc import Sequence
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from tests.centre.fronts.cloud_rig import EQ_SN
from twisted_gantry.centre.fronts.cloud_reports import report_of
from twisted_gantry.centre.model import Received
from twisted_gantry.centre.store import channels
from twisted_gantry.centre.store.channels import MOST_CHANNELS, Channel, channels_of
from twisted_gantry.testing.centre_store import InlineStore, open_memory
from twisted_gantry.testing.clock import START
from twisted_gantry.wire.fogslink.messages import Item, Pack, Single, encode


def pack(gantry: str, at: float, values: Sequence[tuple[str, str]]) -> Received:
    """Return the report of a pack of channels and values; an empty value is abnormal."""
    items = tuple(
        Item(e_chan=name, e_val=value) if value else Item(e_chan=name, e_chan_sta="0")
        for name, value in values
    )
    message = Pack(eq_sn=EQ_SN, pack_id=str(at), total_size=len(items), eq_data=items)
    return report_of(message, gantry, at, encode(message)[:-1])


async def test_values_are_merged_in_one_row_a_gantry(store: InlineStore) -> None:
    """Channels that a pack does not name stay; an abnormal one loses its value; groups sort as
    numbers; other gantries and reports of `monitor.do` have no part in it.
    """
    single = Single(eq_sn=EQ_SN, e_chan="P2-C1", e_val="on")
    store.put_all(
        [
            pack("G1", START, [("P10-C1", "a"), ("P2-C1", "b"), ("P2-C10", "c"), ("odd", "d")]),
            pack("G1", START + 1, [("P10-C1", "")]),
            pack("G2", START + 1, [("P10-C1", "z")]),
        ]
    )
    store.put_all([report_of(single, "G1", START + 2, encode(single)[:-1])])
    assert await store.read(lambda session: channels_of(session, "G1")) == [
        Channel("P2-C1", "1", "on", START + 2),
        Channel("P2-C10", "1", "c", START),
        Channel("P10-C1", "0", None, START + 1),
        Channel("odd", "1", "d", START),
    ]
    assert await store.read(lambda session: channels_of(session, "G3")) == []
    both = await store.read(lambda session: channels.channels_of_each(session, ["G1", "G2", "G3"]))
    assert {gantry: len(each) for gantry, each in both.items()} == {"G1": 4, "G2": 1}
    assert await store.read(lambda s: s.rows("SELECT gantry FROM channels ORDER BY gantry")) == [
        ("G1",),
        ("G2",),
    ]
    await store.write(lambda session: channels.forget(session, "G1"))
    assert await store.read(lambda session: channels_of(session, "G1")) == []


async def test_what_another_front_received_later_stays(memory: InlineStore) -> None:
    """The reception decides, and not which front writes first."""
    memory.put_all([pack("G1", START + 5, [("P0-C1", "new")])])
    memory.put_all([pack("G1", START + 4, [("P0-C1", "old"), ("P0-C2", "b")])])
    assert await memory.read(lambda session: channels_of(session, "G1")) == [
        Channel("P0-C1", "1", "new", START + 5),
        Channel("P0-C2", "1", "b", START + 4),
    ]


async def test_a_duplicate_changes_no_value(memory: InlineStore) -> None:
    """An old pack that comes again after a newer one is no news."""
    old = pack("G1", START, [("P0-C1", "old")])
    memory.put_all([old, pack("G1", START + 1, [("P0-C1", "new")])])
    again = Received("G1", old.method, None, START + 2, old.body, old.digest, old.told, old.key)
    memory.put_all([again])
    [channel] = await memory.read(lambda session: channels_of(session, "G1"))
    assert channel.value == "new"


async def test_channels_of_a_gantry_are_bounded(memory: InlineStore) -> None:
    """Names that are made up fill no row; known channels still change."""
    for at in range(0, MOST_CHANNELS + 200, 200):
        memory.put_all([pack("G1", START + at, [(f"P{at}-C{n}", "1") for n in range(200)])])
    memory.put_all([pack("G1", START + 9999, [("P0-C0", "2"), ("P999-C999", "2")])])
    found = await memory.read(lambda session: channels_of(session, "G1"))
    assert len(found) == MOST_CHANNELS
    assert found[0].value == "2"


names = st.sampled_from(["P0-C1", "P0-C2", "P1-C1", "odd"])
contents = st.lists(st.tuples(names, st.sampled_from(["", "a", "b"])), max_size=4)


@given(st.lists(st.tuples(contents, st.integers(-1, 2)), max_size=8), st.integers(1, 8))
def test_a_group_leaves_what_its_packs_leave_one_by_one(
    given: list[tuple[list[tuple[str, str]], int]], size: int
) -> None:
    """Packs of one transaction, some replaced by later ones, also by those of a clock that falls
    back, are as if each had been merged alone.
    """
    at = START
    packs = []
    for content, step in given:
        at += step
        packs.append(pack("G1", at, content))
    assert merged(packs, 1) == merged(packs, size)


def merged(packs: list[Received], size: int) -> list[Channel]:
    """Return the channels after groups of `size` packs."""
    found: list[Channel] = []
    store = open_memory(lambda: START)
    for first in range(0, len(packs), size):
        store.write(partial(channels.merge, reports=packs[first : first + size]))
    store.read(lambda session: channels_of(session, "G1")).addCallback(found.extend)
    store.close()
    return found
