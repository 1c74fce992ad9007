"""Where commands are handed in, and their outcomes are asked for. The workers send them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256

from twisted.internet.defer import Deferred

from twisted_gantry.centre.control.order import Asker, Choice, Order
from twisted_gantry.centre.interfaces import IReportStore, Session
from twisted_gantry.centre.store import audit, commands, mutes
from twisted_gantry.centre.store.chosen import WHY, Chosen, chosen
from twisted_gantry.centre.store.commands import CommandSeen, Ending, OrderState, Placed
from twisted_gantry.wire.etc.controls import ACCESS, DEVICE, POWER, TOLLING

EXPIRY, LONGEST_EXPIRY = 300.0, 86_400.0
"""Seconds after which a command that was not sent is given up: by default, and at most."""
ACTION = "runCommand"
"""The name of a command in the audit."""
_WORST_FIRST = (TOLLING, POWER, ACCESS, DEVICE)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a command would do. `able` is the number of gantries that get it; `cannot` are those
    that do not, with the reason. `endangers` is the worst that it can hurt, empty for nothing, and
    `danger` says how. People work at those of `maintenance`, which get it all the same.
    """

    able: int
    cannot: Sequence[Chosen]
    names: tuple[str, ...]
    endangers: str
    danger: str
    danger_zh: str
    maintenance: Sequence[str] = ()

    @property
    def gantries(self) -> int:
        return self.able + len(self.cannot)


class ConfirmNeeded(Exception):
    """The command can hurt, and was not confirmed: 409. `en` and `zh` say what follows from it, and
    for how many gantries.
    """

    def __init__(self, preview: Preview) -> None:
        names, count = ", ".join(preview.names), preview.able
        gantries = "1 gantry" if count == 1 else f"{count} gantries"
        if works := len(preview.maintenance):
            gantries += f", people work at {works} of them"
        zh = f"涉及{count}个门架，其中{works}个正在检修" if works else f"涉及{count}个门架"
        self.en = f"{names} {preview.danger} ({gantries}): it needs a confirmation"
        self.zh = f"{names}{preview.danger_zh}（{zh}）：需要确认"
        super().__init__(self.en)
        self.preview = preview


class NoGantry(Exception):
    """The choice means no gantry of the registry: 404."""

    en, zh = "no such gantry in the registry", "台账中没有这样的门架"

    def __init__(self) -> None:
        super().__init__(self.en)


class CommandDesk:
    """Takes commands. `token` returns a text of letters and digits that never comes again."""

    def __init__(self, store: IReportStore, token: Callable[[], str]) -> None:
        self._store, self._token = store, token

    def preview(self, choice: Choice, order: Order, asker: Asker) -> Deferred[Preview]:
        """Tell what a command would do. Fails with NoGantry and NotStored."""
        return self._store.read(lambda session: _preview(session, choice, order, asker)[0])

    def submit(
        self,
        choice: Choice,
        order: Order,
        asker: Asker,
        *,
        confirmed: bool = False,
        expiry: float = EXPIRY,
        request: str = "",
    ) -> Deferred[str]:
        """Hand a command in; fires with its id after the COMMIT. With the `request` of an earlier
        call of the same person it is that command, and nothing is done twice. `expiry` is seconds.
        The audit has the command in the same transaction. Fails with ConfirmNeeded, NoGantry,
        OtherCommand and NotStored.
        """
        token = self._token()
        # A transaction that is run again after a lost connection must not make a second command.
        named = request or f":{token}"
        content = [order.method.value, dict(order.fields), asdict(choice)]
        digest = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

        def job(session: Session) -> str:
            if id_ := commands.known(session, asker.who, named, digest):
                return id_
            preview, gantries = _preview(session, choice, order, asker)
            if order.dangers and not confirmed:
                raise ConfirmNeeded(preview)
            made = commands.place(
                session,
                f"{int(session.now() * 1000):011x}{token}",
                asker.who,
                request=named,
                digest=digest,
                method=order.method.value,
                fields=order.fields,
                names=order.names,
                expiry=min(max(expiry, 0.0), LONGEST_EXPIRY),
                orders=map(_placed, gantries),
            )
            roads = {each.road for each in gantries}
            audit.note(
                session,
                asker.who,
                ACTION,
                _target(choice),
                road=roads.pop() if len(roads) == 1 else "",
                details={"id": made, "does": list(order.names), **order.fields},
            )
            return made

        return self._store.write(job)

    def get(
        self,
        command: str,
        asker: Asker,
        *,
        limit: int = 1000,
        after: str = "",
        state: OrderState | None = None,
    ) -> Deferred[CommandSeen | None]:
        """Return a command with a page of its outcomes by gantry; None for an unknown one."""
        return self._store.read(
            lambda session: commands.seen(
                session,
                command,
                roads=asker.roads,
                who=asker.who,
                limit=limit,
                after=after,
                state=state,
            )
        )

    def list(
        self, asker: Asker, *, limit: int = 100, after: str = ""
    ) -> "Deferred[list[CommandSeen]]":
        """Return commands without their outcomes, newest first, older than the id `after`."""
        return self._store.read(
            lambda session: commands.listed(
                session, roads=asker.roads, who=asker.who, limit=limit, after=after
            )
        )


def _preview(
    session: Session, choice: Choice, order: Order, asker: Asker
) -> tuple[Preview, Sequence[Chosen]]:
    gantries = chosen(session, choice, asker.roads)
    cannot = [each for each in gantries if each.cannot]
    if all(each.cannot == "unknown" for each in gantries):
        raise NoGantry
    dangers = order.dangers
    worst = min((each.endangers for each in dangers.values()), key=_WORST_FIRST.index, default="")
    en = "; ".join(each.danger for each in dangers.values())
    zh = "；".join(each.danger_zh for each in dangers.values())
    able = len(gantries) - len(cannot)
    working = mutes.maintained(session)
    people = [each.id for each in gantries if each.id in working and not each.cannot]
    return Preview(able, cannot, order.names, worst, en, zh, people), gantries


def _placed(gantry: Chosen) -> Placed:
    if not gantry.cannot:
        return Placed(gantry.id, gantry.road)
    en, zh = WHY[gantry.cannot]
    return Placed(gantry.id[:40], gantry.road, Ending(OrderState.REFUSED, en, zh))


def _target(choice: Choice) -> str:
    if choice.everything:
        return "all"
    if choice.road:
        return f"{choice.road} {choice.section}".strip()
    return (
        choice.gantries[0][:40] if len(choice.gantries) == 1 else f"{len(choice.gantries)} gantries"
    )
