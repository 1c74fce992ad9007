"""The web endpoint: status page, local API and metrics behind one gate."""

from collections import Counter
from collections.abc import Callable, Sequence

from twisted.internet.defer import execute
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource

from twisted_gantry.access.gate import Access, Gate, Switch
from twisted_gantry.access.people import User
from twisted_gantry.access.roles import roles_of
from twisted_gantry.core.diagnosis import Diagnoses
from twisted_gantry.core.interfaces import IHistory
from twisted_gantry.core.site import Site
from twisted_gantry.net.histogram import Histogram
from twisted_gantry.net.threads import InThread
from twisted_gantry.web.api.export import Exports
from twisted_gantry.web.api.maintenance import Maintenance
from twisted_gantry.web.api.routes import LocalApi
from twisted_gantry.web.api.stream import Stream
from twisted_gantry.web.metrics import Metrics
from twisted_gantry.web.page.resource import page_of_site
from twisted_gantry.wire.local_operations import OPERATIONS
from twisted_gantry.wire.secret import Secret


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
    reactor_lag: Histogram | None = None,
    stream: Stream | None = None,
    viewer_password: Secret | None = None,
    viewer_token: Secret | None = None,
    users: Sequence[User] = (),
    clock: IReactorTime | None = None,
    diagnoses: Diagnoses | None = None,
    in_thread: InThread = execute,
    hashing: InThread = execute,
) -> IResource:
    """Return the resource of the web endpoint.

    `history` is that of the site's points; `now` returns Unix seconds. `http_counts` are the counts
    of HTTP servers by name; others may be added later, `gate` and `stream` are added here. `health`
    returns the faults of the program. The caller starts and stops `stream` and `diagnoses`. The
    secrets and `clock` are those of `Access`, `hashing` is its `in_thread`; `in_thread` is for
    files.

    Raises ValueError for an empty secret or a broken hash, OSError when a file of the page is not
    installed, ZoneInfoNotFoundError for an unknown timezone.
    """
    access = Access(
        password,
        token,
        viewer_password=viewer_password,
        viewer_token=viewer_token,
        users=users,
        clock=clock,
        in_thread=hashing,
        needed_role=roles_of(OPERATIONS),
    )
    http_counts["gate"] = access.counts
    if stream is not None:
        http_counts["stream"] = stream.counts
    maintenance = None if clock is None else Maintenance(site, now, clock, in_thread)
    exports = None if clock is None else Exports(site, history, now, clock, in_thread)
    local = LocalApi(
        site,
        history,
        now,
        version,
        health,
        stream,
        maintenance,
        clock,
        diagnoses,
        access.users,
        exports,
    )
    api: IResource = local.app.resource()
    metrics: IResource = Metrics(site, now, version, http_counts, reactor_lag).app.resource()
    page = page_of_site()
    parts = {b"metrics": metrics}
    served: IResource = page.app.resource()
    parts.update(dict.fromkeys([name.encode() for name in page.first_parts], served))
    return Gate(access, Switch(parts, api))
