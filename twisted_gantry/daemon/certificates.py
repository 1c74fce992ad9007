"""When the certificates of the gantry and of its peers expire: two points, and an alarm before."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.config.settings import Settings
from twisted_gantry.core.alarms import Alarms, Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.points import Points
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.net.timers import GuardedLoop, Timer
from twisted_gantry.wire.reading import Quality

DEVICE = "gantry"
OWN, PEERS = "own_certificate_days", "peer_certificate_days"
POINTS = (
    PointType(OWN, "d", "Days until a certificate of ours expires", "本机证书剩余天数"),
    PointType(PEERS, "d", "Days until a certificate of a peer expires", "对端证书剩余天数"),
)
ALARM = "gantry.certificates"
WARNING_DAYS = 30.0
PERIOD_S = 3600.0
MOST_PEERS = 256  # hosts that are remembered; the one not seen for longest is forgotten
KEPT_S = 30 * 86_400.0  # seconds after which a host that was not seen again is forgotten
_DAY_S = 86_400.0

Own = tuple[tuple[str, datetime], ...]
"""The path of each file of ours, and when its certificate expires."""


def own_certificates(settings: Settings) -> Own:
    """Return the certificates that the gantry shows as a client and as a server."""
    of_devices = [each.settings for each in settings.devices]
    of_bridges = settings.bridges.tables().values()
    shown = (settings.tls, *of_devices, *settings.etc, *settings.fogslink, *of_bridges)
    clients = [each.client_cert for each in shown if isinstance(each, TlsSettings)]
    servers = [each.certificate for each in settings.server_tls.values() if each is not None]
    nut = settings.bridges.nut
    own = (*clients, *servers, nut.certificate if nut is not None else None)
    found = {pem.path: pem.expires for pem in own if pem is not None}
    return tuple(sorted(found.items()))


class Certificates:
    """Keeps the points and the alarm; `own` are our certificates. `now` returns Unix seconds."""

    own: Own = ()

    def __init__(
        self, points: Points, alarms: Alarms, clock: IReactorTime, now: Callable[[], float]
    ) -> None:
        self._points, self._alarms, self._clock, self._now = points, alarms, clock, now
        self._peers: OrderedDict[str, tuple[datetime, float]] = OrderedDict()
        self._loop = GuardedLoop(clock, self._look, "the certificates")
        self._soon = Timer(clock, self._look)
        points.declare(DEVICE, POINTS)

    def start(self) -> None:
        self._loop.start(PERIOD_S)

    def stop(self) -> None:
        self._loop.stop()
        self._soon.cancel()
        self._alarms.clear(ALARM)

    def seen(self, host: str, expires: datetime) -> None:
        """Note the certificate of a host that was verified."""
        known = self._peers.get(host)
        self._peers[host] = (expires, self._clock.seconds())
        self._peers.move_to_end(host)
        while len(self._peers) > MOST_PEERS:
            self._peers.popitem(last=False)
        if (known is None or known[0] != expires) and self._loop.running and not self._soon.running:
            self._soon.start(0.0)  # not in the middle of a handshake

    def _look(self) -> None:
        today = datetime.fromtimestamp(self._now(), UTC)
        since = self._clock.seconds() - KEPT_S
        for host in [host for host, (_, at) in self._peers.items() if at < since]:
            del self._peers[host]
        peers = tuple((host, expires) for host, (expires, _) in self._peers.items())
        groups = ((OWN, self.own), (PEERS, peers))
        readings = {
            name: (min(_days(expires, today) for _, expires in group), Quality.GOOD)
            for name, group in groups
            if group
        }
        if readings:
            self._points.update(DEVICE, readings)
        late = [each for each in (*self.own, *peers) if _days(each[1], today) < WARNING_DAYS]
        if not late:
            self._alarms.clear(ALARM)
            return
        late.sort(key=lambda each: each[1])
        en = ", ".join(f"{name} on {expires.date()}" for name, expires in late[:5])
        zh = "，".join(f"{name}（{expires.date()}）" for name, expires in late[:5])
        self._alarms.set(
            ALARM, Severity.WARNING, f"certificates expire: {en}", f"证书即将到期：{zh}"
        )


def _days(expires: datetime, today: datetime) -> float:
    return round((expires - today).total_seconds() / _DAY_S, 1)
