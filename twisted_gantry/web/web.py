"""All that the gantry serves to people and programs of the site, behind one gate."""

from collections import Counter
from collections.abc import Callable

from twisted.web.resource import IResource

from twisted_gantry.site.secret import Secret
from twisted_gantry.site.site import Site
from twisted_gantry.web.access import Access, Gate, Switch
from twisted_gantry.web.api import LocalApi
from twisted_gantry.web.metrics import Metrics
from twisted_gantry.web.page import TYPES, Page


def web_resource(
    site: Site,
    *,
    now: Callable[[], float],
    version: str,
    password: Secret | None,
    token: Secret | None,
    http_counts: dict[str, Counter[str]],
    health: Callable[[], list[str]],
) -> IResource:
    """Return the resource of the web endpoint: status page, local API and metrics.

    `now` returns Unix seconds. `http_counts` are the counts of HTTP servers by name; servers may
    be added later; what the gate refuses is counted there as the server `gate`. `health` returns
    what is wrong with the program itself. Raises ValueError for an empty secret, OSError when a
    file of the page is not installed, ZoneInfoNotFoundError for a timezone that there is not.
    """
    access = Access(password, token)
    http_counts["gate"] = access.counts
    api: IResource = LocalApi(site, now, version, health).app.resource()
    metrics: IResource = Metrics(site, now, version, http_counts).app.resource()
    page: IResource = Page().app.resource()
    parts = {b"metrics": metrics}
    parts.update(dict.fromkeys([b"", *(name.encode() for name in TYPES)], page))
    return Gate(access, Switch(parts, api))
