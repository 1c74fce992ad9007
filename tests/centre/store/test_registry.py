"""The registry in the database, and in the memory of a front, in both engines."""

from functools import partial

import pytest
from twisted.python.failure import Failure

from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.registry import Registry, digest_of
from twisted_gantry.centre.store import refusals
from twisted_gantry.centre.store import registry as stored
from twisted_gantry.centre.store.registry import LONGEST_CODE, NotRegistered
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import ManualClock
from twisted_gantry.wire.secret import Secret

SEALING = Sealing("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
ONE = Gantry(
    "G1",
    "一号门架",
    "G2",
    "s1",
    "K1+2",
    "up",
    "116,39",
    "http://192.0.2.1:3699/remotecontrol.do",
    "E1",
    Secret("the code"),
    Secret("the key"),
)


async def test_a_front_follows_the_registry(store: InlineStore, clock: ManualClock) -> None:
    """What is put, changed and removed is known a second later; secrets stay unless given."""
    registry = Registry(store, SEALING, clock)
    assert (registry.ready, registry.version) == (False, stored.NO_VERSION)
    registry.startService()
    assert (registry.ready, registry.version) == (True, 0)
    await store.write(
        lambda s: stored.put(s, [ONE, Gantry("12", auth=Secret("the code"))], SEALING)
    )
    clock.advance(1)
    entry = registry.by_id("G1")
    assert entry is not None
    assert entry.gantry == ONE
    assert registry.by_eq_sn("E1") is entry
    assert registry.by_id("012.0") is registry.by_id("12")
    assert registry.by_eq_sn(" E1 ") is entry
    await store.write(lambda s: stored.put(s, [Gantry("13", eq_sn="077")], SEALING))
    clock.advance(1)
    assert registry.by_eq_sn("77.0") is registry.by_eq_sn("077") is registry.by_id("13")
    assert registry.by_eq_sn("") is registry.by_eq_sn("\0") is None
    await store.write(lambda s: stored.remove(s, "13"))
    clock.advance(1)
    assert registry.by_eq_sn("77.0") is registry.by_eq_sn("077") is None
    assert registry.knows_code(digest_of("the code"))
    assert entry.has_key(digest_of("the key"))
    assert not entry.has_key(digest_of("the code"))
    await store.write(lambda s: stored.put(s, [Gantry("G1", "new")], SEALING))
    clock.advance(1)
    changed = registry.by_id("G1")
    assert changed is not None
    assert changed.gantry == Gantry("G1", "new", auth=Secret("the code"), api_key=Secret("the key"))
    assert registry.by_eq_sn("E1") is None
    assert await store.write(lambda s: stored.remove(s, "G1")) is True
    assert await store.write(lambda s: stored.remove(s, "G1")) is False
    clock.advance(1)
    assert registry.by_id("G1") is None
    assert registry.knows_code(digest_of("the code"))  # of the other gantry
    await store.write(lambda s: stored.put(s, [Gantry("12", auth=Secret(""))], SEALING))
    clock.advance(1)
    assert not registry.knows_code(digest_of("the code"))
    found = registry.by_id("12")
    assert found is not None
    assert not found.has_code(digest_of(""))
    await store.write(lambda s: stored.put(s, [Gantry("G1", auth=Secret("again"))], SEALING))
    clock.advance(1)
    assert [each.gantry.id for each in registry.entries] == ["12", "G1"]
    known = await store.read(lambda s: stored.changes(s, stored.NO_VERSION, SEALING))
    primed = Registry(store, SEALING, clock, known)
    assert primed.ready
    assert {each.gantry.id for each in primed.entries} == {"12", "G1"}
    registry.stopService()


async def test_a_backup_that_was_put_back(memory: InlineStore, clock: ManualClock) -> None:
    """A registry whose version fell is read whole: what is not in it is gone."""
    registry = Registry(memory, SEALING, clock)
    await memory.write(lambda s: stored.put(s, [ONE], SEALING))
    await memory.write(lambda s: stored.put(s, [Gantry("G2")], SEALING))
    registry.startService()
    await memory.write(lambda s: s.run("DELETE FROM gantries WHERE id = 'G2'"))
    await memory.write(lambda s: s.run("UPDATE registry_version SET version = 1"))
    clock.advance(1)
    assert [each.gantry.id for each in registry.entries] == ["G1"]
    assert registry.version == 1
    registry.stopService()


async def test_codes_lie_sealed(memory: InlineStore) -> None:
    """The database has no secret in a form that can be read, and gives none without the key."""
    await memory.write(lambda s: stored.put(s, [ONE], SEALING))
    rows = await memory.read(lambda s: s.rows("SELECT * FROM gantries"))
    assert "the code" not in str(rows)
    assert "the key" not in str(rows)
    bare = await memory.read(lambda s: stored.gantry(s, "G1"))
    assert bare is not None
    assert (bare.auth, bare.api_key, bare.name) == (None, None, "一号门架")
    assert await memory.read(lambda s: stored.gantries(s, SEALING)) == [ONE]


@pytest.mark.parametrize(
    ("gantry", "why"),
    [
        (Gantry(""), "1 to 20"),
        (Gantry("G" * 21), "1 to 20"),
        (Gantry("G9", eq_sn="E1"), "that of G1"),
        (Gantry("G9", auth=Secret("x" * 129)), "auth has 128"),
        (Gantry("G9", api_key=Secret("key ")), "apiKey has 128"),
    ],
)
async def test_what_the_registry_does_not_take(
    memory: InlineStore, gantry: Gantry, why: str
) -> None:
    """A bad entry changes nothing, the others of its transaction neither."""
    await memory.write(lambda s: stored.put(s, [ONE], SEALING))
    with pytest.raises(NotRegistered, match=why):
        await memory.write(lambda s: stored.put(s, [Gantry("G5"), gantry], SEALING))
    assert await memory.read(lambda s: stored.gantries(s, SEALING)) == [ONE]
    assert await memory.read(stored.version) == 1


async def test_a_damaged_row_costs_itself(memory: InlineStore, clock: ManualClock) -> None:
    """A code that cannot be opened is none, and the registry says whose it is."""
    registry = Registry(memory, SEALING, clock)
    other = Sealing("BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=", "/keys/centre")
    await memory.write(lambda s: stored.put(s, [ONE], SEALING))
    await memory.write(lambda s: stored.put(s, [Gantry("G2", auth=Secret("x"))], other))
    registry.startService()
    entry = registry.by_id("G2")
    assert entry is not None
    assert not entry.has_code(digest_of("x"))
    assert registry.knows_code(digest_of("the code"))
    assert str(registry.trouble) == "codes that the key file cannot open, set them anew: G2"
    await memory.write(lambda s: stored.put(s, [Gantry("G2", auth=Secret("x"))], SEALING))
    clock.advance(1)
    assert registry.trouble is None
    registry.stopService()


async def test_trouble_of_the_database(
    memory: InlineStore, clock: ManualClock, logged_failures: list[Failure]
) -> None:
    """While the database cannot be read the registry is as it was, and says why."""
    registry = Registry(memory, SEALING, clock)
    await memory.write(lambda s: stored.put(s, [ONE], SEALING))
    registry.startService()
    await memory.write(lambda s: s.run("ALTER TABLE registry_version RENAME TO other"))
    clock.advance(1)
    assert registry.by_id("G1") is not None
    assert "registry_version" in str(registry.trouble)
    logged_failures.clear()
    registry.stopService()


def test_digests() -> None:
    """A long code is none, and no text at all has no digest."""
    assert digest_of(None) == digest_of("") == digest_of("x" * (LONGEST_CODE + 1)) == b""
    assert digest_of("\udcff") != digest_of("?")


async def test_refusals_are_bounded(store: InlineStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal refusals add up; of very many the latest are kept."""
    monkeypatch.setattr(refusals, "MOST", 3)
    for at in range(6):
        given = refusals.Refusal(f"G{at}", "192.0.2.1", "1001", f"why {at}", 2, at, at + 0.5)
        await store.write(partial(refusals.note, refusals=[given]))
    more = refusals.Refusal("G5", "192.0.2.1", "1001", "another", 1, 9.0, 9.5)
    await store.write(lambda s: refusals.note(s, [more]))
    found = await store.read(refusals.latest)
    assert [each.gantry for each in found] == ["G5", "G4", "G3"]
    assert (found[0].times, found[0].why, found[0].first_at, found[0].last_at) == (
        3,
        "another",
        5.0,
        9.5,
    )
    assert await store.read(lambda s: refusals.latest(s, 10, "G4")) == [found[1]]
    await store.write(lambda s: stored.put(s, [Gantry("G3", road="G2")], SEALING))
    for roads, names in ((["G2"], ["G3"]), (["G9"], [])):
        of_roads = await store.read(partial(refusals.latest, roads=roads))
        assert [each.gantry for each in of_roads] == names


async def test_an_eq_sn_moves_within_one_change(store: InlineStore) -> None:
    """From a gantry that gives it up to one behind it; two cannot have it: then none changes."""
    put = partial(stored.put, sealing=SEALING)
    await store.write(partial(put, given=[Gantry("G1", eq_sn="S1"), Gantry("G2")]))
    await store.write(partial(put, given=[Gantry("G1"), Gantry("G2", eq_sn="S1")]))
    assert [each.eq_sn for each in await store.read(stored.gantries)] == ["", "S1"]
    with pytest.raises(NotRegistered, match="S1"):
        await store.write(partial(put, given=[Gantry("G1", "new"), Gantry("G3", eq_sn="S1")]))
    with pytest.raises(NotRegistered, match="S9"):
        await store.write(partial(put, given=[Gantry("G1", eq_sn="S9"), Gantry("G3", eq_sn="S9")]))
    assert [each.id for each in await store.read(stored.gantries)] == ["G1", "G2"]
