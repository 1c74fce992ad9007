"""Claims of orders, in both engines: by the database's clock, and each by one worker."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from tests.centre import postgres
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.store import commands
from twisted_gantry.centre.store.commands import Claim, Ending, OrderState, OtherCommand, Placed
from twisted_gantry.centre.store.postgresql import PostgresEngine
from twisted_gantry.testing.centre_store import InlineStore

LEASE = 60.0


def place(
    session: Session,
    command: str,
    *gantries: str,
    request: str | None = None,
    expiry: float = 300.0,
) -> str:
    orders = [Placed(each, "G2") for each in gantries]
    return commands.place(
        session,
        command,
        "li",
        request=request or command,
        digest=command[:1],
        method="cabinetControl",
        fields={"updateNow": "1"},
        names=["update-now"],
        expiry=expiry,
        orders=[*orders, Placed("G9", "G2", Ending(OrderState.REFUSED, "no URL", "无地址"))],
    )


def claim(session: Session, owner: str = "a", most: int = 9, lease: float = LEASE) -> list[Claim]:
    return commands.claim(session, owner, most, lease)


def states(session: Session, command: str) -> dict[str, str]:
    found = commands.seen(session, command, roads={"G2"}, limit=9)
    assert found is not None
    return {each.gantry: each.state.value for each in found.orders}


async def test_the_life_of_orders(store: InlineStore) -> None:
    """Placed once by request, claimed oldest first and one a gantry, ended by their claimer, swept
    when their time is over.
    """
    assert await store.write(lambda s: place(s, "a1", "G1", "G2", request="r")) == "a1"
    assert await store.write(lambda s: place(s, "a2", "G1", request="r")) == "a1"
    with pytest.raises(OtherCommand):
        await store.write(lambda s: place(s, "b1", "G1", request="r"))
    await store.write(lambda s: place(s, "a3", "G1", "G3"))
    await store.write(lambda s: place(s, "a4", "G4", expiry=0.0))
    assert await store.read(commands.is_due)
    first = await store.write(lambda s: claim(s, most=2))
    assert {(each.command, each.gantry) for each in first} == {("a1", "G1"), ("a1", "G2")}
    assert first[0].fields == {"updateNow": "1"}
    assert first[0].method == "cabinetControl"
    assert 0 < first[0].left <= 300.0
    # G1 is under way: only the order for G3 has its turn. That of a4 has expired.
    second = await store.write(lambda s: claim(s, "b", lease=0.0))
    assert [(each.command, each.gantry) for each in second] == [("a3", "G3")]
    assert await store.write(commands.sweep) == 2
    assert await store.read(lambda s: states(s, "a4")) == {"G4": "expired", "G9": "refused"}
    assert await store.read(lambda s: states(s, "a3")) == {
        "G1": "queued",
        "G3": "unknown",
        "G9": "refused",
    }
    done = Ending(OrderState.DONE, code="1000", result={"testResult": "2"})
    [order] = [each.id for each in first if each.gantry == "G1"]
    assert await store.write(lambda s: commands.end(s, "a", order, done))
    third = await store.write(claim)
    assert [(each.command, each.gantry) for each in third] == [("a3", "G1")]
    assert third[0].stamp > first[0].stamp
    listed = await store.read(lambda s: commands.listed(s, roads=None, limit=9))
    assert [each.id for each in listed] == ["a4", "a3", "a1"]
    older = await store.read(lambda s: commands.listed(s, roads={"G2"}, limit=9, after="a3"))
    assert [each.id for each in older] == ["a1"]
    assert await store.read(lambda s: commands.listed(s, roads={"G7"}, limit=9)) == []


class Between:
    """A transaction in which another worker claims and commits before the second statement."""

    def __init__(self, session: Session, meanwhile: Callable[[], object]) -> None:
        self._session, self._meanwhile, self._statements = session, meanwhile, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def rows(self, sql: str, *values: Any) -> list[Any]:
        self._statements += 1
        if self._statements == 2:
            self._meanwhile()
        return self._session.rows(sql, *values)


def test_a_gantry_has_one_order_under_way_for_all_workers() -> None:
    """A claim that another worker commits in the midst of it leaves no second order of its gantry:
    two commands at once would reach the gantry in any order.
    """
    url = postgres.new_database()
    engines = [PostgresEngine(url) for _ in range(2)]
    one, other = (each.connect() for each in engines)
    one.transaction(lambda s: place(s, "a1", "G1"))
    one.transaction(lambda s: place(s, "a2", "G1", "G2"))
    theirs: list[Claim] = []

    def meanwhile() -> None:
        theirs.extend(other.transaction(lambda s: claim(s, "b", most=1)))

    def mine(session: Session) -> list[Claim]:
        return claim(cast("Session", Between(session, meanwhile)), "a")

    got = one.transaction(mine)
    assert [(each.gantry, each.command) for each in theirs] == [("G1", "a1")]
    assert [(each.gantry, each.command) for each in got] == [("G2", "a2")]
    for connection, engine in zip((one, other), engines, strict=True):
        connection.close()
        engine.close()
    postgres.drop_database(url)


def test_two_workers_never_claim_one_order() -> None:
    """A claim leaves out at once what another one has taken and not committed yet."""
    url = postgres.new_database()
    engines = [PostgresEngine(url) for _ in range(2)]
    one, other = (each.connect() for each in engines)
    one.transaction(lambda s: place(s, "a1", "G1", "G2", "G3"))
    one.transaction(lambda s: place(s, "a2", "G1"))

    def both(session: Session) -> tuple[list[Claim], list[Claim]]:
        return claim(session, "a", most=2), other.transaction(lambda s: claim(s, "b"))

    mine, theirs = one.transaction(both)
    assert sorted(each.gantry for each in mine) == ["G1", "G2"]
    assert [each.gantry for each in theirs] == ["G3"]
    assert one.transaction(claim) == []
    for connection, engine in zip((one, other), engines, strict=True):
        connection.close()
        engine.close()
    postgres.drop_database(url)
