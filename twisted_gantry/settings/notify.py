"""`[[notify]]`: each is read by its kind, and checked against the others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.net.tls import Seen
from twisted_gantry.notify.interfaces import ISender
from twisted_gantry.notify.plan import Policy
from twisted_gantry.notify.quiet import Quiet
from twisted_gantry.notify.registry import KINDS
from twisted_gantry.notify.settings import CalledSettings, Means, ReachedSettings
from twisted_gantry.notify.texts import Wording
from twisted_gantry.settings.tables import Document, Path, shown
from twisted_gantry.settings.tls import with_tls
from twisted_gantry.wire.secret import Secret


@dataclass(frozen=True)
class NotifyEntry:
    """A `[[notify]]`. Without `min_severity` the target hears of escalated alarms alone; `keys` are
    parts of the settings that are secrets by themselves.
    """

    name: str
    kind: str
    settings: CalledSettings
    min_severity: str | None
    keys: tuple[Secret, ...] = ()

    def policy(self, zone: ZoneInfo, deaf_to: str = "") -> Policy:
        """Return when the target is told; alarms whose names begin with `deaf_to` never are."""
        settings = self.settings
        return Policy(
            self.min_severity,
            zone,
            settings.delay,
            settings.repeat,
            settings.escalate_after,
            Quiet.parse(settings.quiet) if settings.quiet else None,
            deaf_to=deaf_to,
        )

    def sender(
        self, reactor: Any, now: Callable[[], float], name: str, certificate_seen: Seen
    ) -> ISender:
        """Return what sends to the target for the site `name`; `now` returns Unix seconds."""
        wording = Wording(self.settings.language, name)
        means = Means(reactor, now, wording, self.keys, certificate_seen)
        return KINDS[self.kind].build(self.settings, means)


def read_notify(
    document: Document, secret: Callable[[Any], Secret], tls: TlsSettings
) -> tuple[NotifyEntry, ...]:
    """Return the targets; what is wrong is noted in `document`. `tls` are the defaults of all."""
    tables = document.tables("notify")
    names = _names(document, tables)
    entries: list[NotifyEntry] = []
    for index, (table, name) in enumerate(zip(tables, names, strict=True)):
        path: Path = ("notify", index)
        given = table.get("kind")
        kind = KINDS.get(given) if isinstance(given, str) else None
        if kind is None:
            what = "is missing" if given is None else f"unknown kind {shown(given)}"
            document.wrong((*path, "kind"), f"{what}; there are: {', '.join(KINDS)}")
            continue
        also = frozenset({"kind"})
        settings: Any = document.read(table, kind.settings, path, secret, also, kind.checks)
        _check_escalation(document, path, index, tables, names)
        if settings is None:
            continue
        for key, wrong in kind.wrong(settings).items():
            document.wrong((*path, key), wrong)
        if isinstance(settings, ReachedSettings):
            files = with_tls(document, path, settings.files(), tls)
            settings = msgspec.structs.replace(
                settings,
                ca=files.ca,
                client_cert=files.client_cert,
                client_key=files.client_key,
            )
        assert isinstance(settings, CalledSettings)
        heard = settings.min_severity
        if heard is None and not any(each.get("escalate_to") == name for each in tables):
            heard = "warning"
        entries.append(NotifyEntry(name, str(given), settings, heard, kind.keys(settings)))
    return tuple(entries)


def _names(document: Document, tables: list[dict[str, Any]]) -> list[str]:
    """Return the names of the targets: the given ones, else the kind, with a number if needed."""
    given = [each.get("name") or "" for each in tables]
    taken = {each for each in given if isinstance(each, str)}
    names: list[str] = []
    for index, table in enumerate(tables):
        name = given[index]
        if not isinstance(name, str) or not name:
            name = kind = str(table.get("kind", "notify"))[:24]
            number = 1
            while name in taken:
                number += 1
                name = f"{kind}-{number}"
            taken.add(name)
        elif name in names:
            document.wrong(("notify", index, "name"), f"a second target is named {shown(name)}")
        names.append(name)
    return names


def _check_escalation(
    document: Document,
    path: Path,
    index: int,
    tables: list[dict[str, Any]],
    names: list[str],
) -> None:
    # From the tables themselves: another mistake in one must not hide these.
    table = tables[index]
    after, to = table.get("escalate_after", 0), table.get("escalate_to", "")
    if not isinstance(to, str):
        return  # told by its type
    if after and not to:
        document.wrong((*path, "escalate_to"), "is missing: whom to call after escalate_after")
    if not to:
        return
    if not after:
        document.wrong((*path, "escalate_after"), "is missing: seconds until escalate_to is called")
    if to not in names:
        known = ", ".join(each for each in names if each != names[index]) or "none"
        document.wrong(
            (*path, "escalate_to"), f"there is no target {shown(to)}; others are: {known}"
        )
        return
    following: dict[str, Any] = {}
    for name, each in zip(names, tables, strict=True):
        following.setdefault(name, each.get("escalate_to"))
    chain = [names[index]]
    while (after_that := following.get(chain[-1])) and after_that not in chain:
        chain.append(str(after_that))
    if after_that == names[index]:
        circle = " → ".join([*chain, names[index]])
        document.wrong((*path, "escalate_to"), f"escalates in a circle: {circle}")
