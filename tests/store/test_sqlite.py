"""The store: settings, the white list, the audit, and what a start finds of the last run."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from tests.store.material import Calls, database, failure_of, file_store, result_of
from tests.support import memory_store, moments
from twisted_gantry.core.interfaces import IStore
from twisted_gantry.core.stored import AuditEntry, StoredCard
from twisted_gantry.store.opening import open_store
from twisted_gantry.store.schema import LOCK
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.store.writer import InlineWriter


@pytest.fixture
def store() -> Iterator[SqliteStore]:
    store = memory_store(moments(Clock().seconds))
    yield store
    result_of(store.close())


def _entry(number: int, at: float | None = None) -> AuditEntry:
    when = float(number) if at is None else at
    return AuditEntry(f"id{number}", when, "web", "ups1", "BZOFF", {"n": number})


def test_the_store_is_a_store(store: SqliteStore) -> None:
    """The store provides every method of the interface, with its arguments."""
    assert verifyObject(IStore, store)


# -- settings


def test_a_setting_is_kept_until_it_is_removed(store: SqliteStore) -> None:
    """A setting is replaced by a newer one; None removes it, also when there is none."""
    result_of(store.put_setting("etc.period", 60.0))
    result_of(store.put_setting("etc.period", 5))
    result_of(store.put_setting("etc.server", "https://例.example/monitor.do"))
    assert result_of(store.settings()) == {
        "etc.period": 5,
        "etc.server": "https://例.example/monitor.do",
    }
    result_of(store.put_setting("etc.period", None))
    result_of(store.put_setting("etc.period", None))
    assert result_of(store.settings()).keys() == {"etc.server"}


@settings(derandomize=True)
@given(
    value=st.recursive(
        st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )
)
def test_a_setting_comes_back_as_it_was(value: object) -> None:
    """Any JSON value comes back equal, texts with any letter included."""
    store = memory_store(moments(Clock().seconds))
    result_of(store.put_setting("name", value))
    assert result_of(store.settings()) == {"name": value}
    result_of(store.close())


# -- the white list


def test_there_is_no_white_list_at_first(store: SqliteStore) -> None:
    """Without a white list its version is 0, as the platform wants to be told."""
    assert result_of(store.cards()) == ("0", [])


def test_a_white_list_replaces_the_one_before_it(store: SqliteStore) -> None:
    """A new list leaves no card of the old one, whether longer or shorter."""
    old = [StoredCard(f"c{n}", "from", "to") for n in range(5)]
    new = [StoredCard("c1", "2026-01-01 00:00:00", "2027-01-01 00:00:00"), StoredCard("x", "", "")]
    result_of(store.replace_cards("20260101000000", old))
    result_of(store.replace_cards("20260201000000", new))
    assert result_of(store.cards()) == ("20260201000000", new)


def test_a_white_list_is_replaced_whole_or_not(tmp_path: Path) -> None:
    """When a list cannot be kept to its last card, the old one stays in force, with its version."""
    store, db = file_store(tmp_path)
    old = [StoredCard("good", "from", "to")]
    result_of(store.replace_cards("1", old))
    db.execute(
        "CREATE TRIGGER no BEFORE INSERT ON card WHEN new.card_id = 'bad'"
        " BEGIN SELECT RAISE(ABORT, 'a failing disk'); END"
    )
    many = [StoredCard(f"c{n}", "from", "to") for n in range(100)]
    replaced = store.replace_cards("2", [*many, StoredCard("bad", "from", "to")])
    assert "a failing disk" in str(failure_of(replaced))
    assert result_of(store.cards()) == ("1", old)
    result_of(store.close())


# -- the audit


def test_an_entry_is_kept_from_the_beginning(store: SqliteStore) -> None:
    """A command is in the audit when it begins, without a result, and gets its end later."""
    entry = _entry(1)
    assert result_of(store.begin_command(entry)) is None
    assert result_of(store.audit(10)) == [entry]
    ended = AuditEntry("id1", 1.0, "web", "ups1", "BZOFF", {"n": 1}, "done", "蜂鸣器", "(ACK")
    result_of(store.end_command(ended))
    assert result_of(store.audit(10)) == [ended]


def test_a_known_id_changes_nothing(store: SqliteStore) -> None:
    """An entry whose id is known is not kept; the one that is there comes back instead."""
    result_of(store.begin_command(_entry(1)))
    other = AuditEntry("id1", 9.0, "somebody else", "ups2", "SOFF", {})
    assert result_of(store.begin_command(other)) == _entry(1)
    assert result_of(store.audit(10)) == [_entry(1)]


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "text", ""])
def test_the_value_of_an_answer_keeps_its_type(
    store: SqliteStore, value: float | str | bool | None
) -> None:
    """What a device answered comes back as the same value of the same type."""
    entry = AuditEntry("id1", 1.0, "web", "ups1", "query", {"cmd": "QAD"}, "done", "", value)
    result_of(store.begin_command(entry))
    result_of(store.end_command(entry))
    [kept] = result_of(store.audit(1))
    assert kept == entry
    assert type(kept.value) is type(value)


def test_the_newest_entries_come_first(store: SqliteStore) -> None:
    """The audit goes from the newest to the oldest, also when the clock was set back."""
    for number, at in ((1, 10.0), (2, 30.0), (3, 20.0), (4, 30.0)):
        result_of(store.begin_command(_entry(number, at)))
    assert [each.id for each in result_of(store.audit(10))] == ["id4", "id3", "id2", "id1"]
    assert [each.id for each in result_of(store.audit(2))] == ["id4", "id3"]


def test_the_audit_is_bounded(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the bound, the oldest entries go."""
    monkeypatch.setattr("twisted_gantry.store.audit.MAX_ENTRIES", 5)
    monkeypatch.setattr("twisted_gantry.store.audit.TRIM_EVERY", 1)
    for number in range(12):
        result_of(store.begin_command(_entry(number)))
    assert [each.id for each in result_of(store.audit(100))] == [
        f"id{number}" for number in (11, 10, 9, 8, 7)
    ]


def test_the_end_of_a_forgotten_command_is_no_error(store: SqliteStore) -> None:
    """A command whose entry has left the audit can end all the same."""
    result_of(store.end_command(_entry(1)))
    assert result_of(store.audit(10)) == []


# -- from one run to the next


def test_everything_outlives_the_process(tmp_path: Path) -> None:
    """What one run kept, the next one finds: settings, cards and audit."""
    calls, cards = Calls(), [StoredCard("c1", "from", "to")]
    store = open_store(tmp_path, calls, moments(lambda: 5.0))
    with calls.closing(store):
        calls.run(
            store.put_setting("name", [1, "二"]),
            store.replace_cards("7", cards),
            store.begin_command(_entry(1)),
            store.end_command(AuditEntry("id1", 1.0, "", "", "", {}, "done", "", 3)),
        )
    store = open_store(tmp_path, calls, moments(lambda: 5.0))
    with calls.closing(store):
        kept, listed, audit = store.settings(), store.cards(), store.audit(9)
        calls.run(kept, listed, audit)
        assert store.found == ()
        assert result_of(kept)["name"] == [1, "二"]
        assert result_of(listed) == ("7", cards)
        [entry] = result_of(audit)
        assert (entry.result, entry.value) == ("done", 3)


def test_interrupted_commands_end_as_timeout(tmp_path: Path) -> None:
    """A command that had no outcome when the program ended is said to be unknown, and reported."""
    calls = Calls()
    store = open_store(tmp_path, calls, moments(lambda: 5.0))
    with calls.closing(store):
        done = AuditEntry("id3", 3.0, "web", "ups1", "BZOFF", {}, "done", "fine")
        begun = [store.begin_command(each) for each in (_entry(1), _entry(2), done)]
        calls.run(*begun, store.end_command(done))
    store = open_store(tmp_path, calls, moments(lambda: 5.0))
    with calls.closing(store):
        audit = store.audit(9)
        calls.run(audit)
        finished, *interrupted = result_of(audit)
        assert finished == done
        for entry in interrupted:
            assert entry.result == "timeout"
            assert "not repeated" in entry.detail
        [(found, _)] = store.found
        assert found.startswith("2 commands had no outcome")
    store = open_store(tmp_path, calls, moments(lambda: 5.0))
    with calls.closing(store):
        assert store.found == ()


def test_a_table_that_is_gone_is_a_failure_and_no_more() -> None:
    """A damage that shows at run time fails what meets it; what does not goes on."""
    db = database()
    store = SqliteStore(InlineWriter(db), moments(Clock().seconds))
    db.execute("DROP TABLE card")
    assert isinstance(failure_of(store.cards()), sqlite3.OperationalError)
    assert isinstance(failure_of(store.replace_cards("1", [])), sqlite3.OperationalError)
    assert result_of(store.settings()) == {}
    result_of(store.close())


def test_an_unclean_end_is_told_at_the_next_start(tmp_path: Path) -> None:
    """A folder that nobody let go says so, with what waits; one that was let go says nothing."""
    calls = Calls()
    first = open_store(tmp_path, calls, moments(lambda: 0.0))
    assert first.found == ()
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / LOCK).write_text((tmp_path / LOCK).read_text())
    killed = open_store(copy, calls, moments(lambda: 0.0))
    [(text, _)] = killed.found
    assert "did not end in order" in text
    assert "0 reports wait" in text
    for store in (first, killed):
        calls.run(store.close())
    again = open_store(tmp_path, calls, moments(lambda: 0.0))
    assert again.found == ()
    calls.run(again.close())
