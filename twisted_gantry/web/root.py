"""All that the gantry serves to people and programs of the site, behind one gate."""

from collections import Counter
from collections.abc import Callable

from twisted.internet.defer import execute
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource

from twisted_gantry.access.secrets import InThread
from twisted_gantry.core.interfaces import IHistory
from twisted_gantry.core.latency import Latency
from twisted_gantry.core.secret import Secret
from twisted_gantry.core.site import Site
from twisted_gantry.web.api.maintenance import Maintenance
from twisted_gantry.web.api.routes import LocalApi
from twisted_gantry.web.api.stream import Stream
from twisted_gantry.web.gate import Access, Gate, Switch
from twisted_gantry.web.metrics import Metrics
from twisted_gantry.web.page.resource import TYPES, Page


def web_resource(
    site: Site,
    *,
    history: IHistory,
    now: Callable[[], float],
    version: str,
    password: Secret | None,
    token: Secret | None,
    http_counts: dict[str, Counter[str]],
    health: Callable[[], list[str]],
    reactor_lag: Latency | None = None,
    stream: Stream | None = None,
    viewer_password: Secret | None = None,
    viewer_token: Secret | None = None,
    clock: IReactorTime | None = None,
    in_thread: InThread = execute,
) -> IResource:
    """Return the resource of the web endpoint: status page, local API and metrics.

    `history` is that of its points; `now` returns Unix seconds. `http_counts` are the counts of
    HTTP servers by name; servers may be added later; what the gate refuses is counted there as the
    server `gate`, what happens at the stream as `stream`. `health` returns what is wrong with the
    program itself. `stream` is a service, which somebody else starts. The secrets may be hashes
    (`site.passwords`); `in_thread(f, …)` runs what is slow, by `clock` guesses are counted.

    Raises ValueError for an empty secret or a broken hash, OSError when a file of the page is not
    installed, ZoneInfoNotFoundError for a timezone that there is not.
    """
    access = Access(
        password,
        token,
        viewer_password=viewer_password,
        viewer_token=viewer_token,
        clock=clock,
        in_thread=in_thread,
    )
    http_counts["gate"] = access.counts
    if stream is not None:
        http_counts["stream"] = stream.counts
    maintenance = None if clock is None else Maintenance(site, now, clock, in_thread)
    local = LocalApi(site, history, now, version, health, stream, maintenance)
    api: IResource = local.app.resource()
    metrics: IResource = Metrics(site, now, version, http_counts, reactor_lag).app.resource()
    page: IResource = Page().app.resource()
    parts = {b"metrics": metrics}
    parts.update(dict.fromkeys([b"", *(name.encode() for name in TYPES)], page))
    return Gate(access, Switch(parts, api))
