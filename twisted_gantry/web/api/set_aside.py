"""What the local API does with the reports that were set aside, whatever it is."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from twisted_gantry.core.site import Site
from twisted_gantry.core.stored import AuditEntry, Ledger
from twisted_gantry.net.http.json import HttpError
from twisted_gantry.web.api.audited import audited


def check_uplink(site: Site, name: str) -> None:
    """Raise HttpError 404, which names the uplinks that there are, if this is none of them."""
    if name not in site.uplinks:
        known = ", ".join(site.uplinks) or "none"
        raise HttpError(404, "no-such-uplink", f"there is no such uplink; there are: {known}")


def uplinks_meant(site: Site, name: str | None) -> list[str]:
    """Return the uplink of this name, all without one. Raises HttpError 404."""
    if name is None:
        return list(site.uplinks)
    check_uplink(site, name)
    return [name]


async def change_set_aside(
    site: Site,
    entry: AuditEntry,
    change: Callable[[str, list[int] | None], Deferred[Any]],
    ids: list[int] | None,
    said: str,
) -> int:
    """Do this to the reports of the uplink that the entry names, with the entry in the audit.

    `change` is of the store, and gives how many it changed; `said` goes before that number. Where
    nothing is set aside any more, the alarm ends.
    """
    uplink = entry.target
    async with audited(site.store, entry) as ending:
        count: int = await change(uplink, ids)
        ledger: Ledger = await site.store.ledger(uplink)
        ending.detail = f"{said}: {count}"
    if ledger.set_aside == 0:
        site.alarms.clear(f"{uplink}.set-aside")
    return count
