"""Days until certificates expire, as points, and the alarm before."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.authority import DAY, Authority
from tests.support import TestClock
from twisted_gantry.config.load import load
from twisted_gantry.core.alarms import Alarms
from twisted_gantry.core.catalogue import Catalogue
from twisted_gantry.core.points import Points
from twisted_gantry.daemon.certificates import ALARM, KEPT_S, Certificates, own_certificates


class Bench:
    def __init__(self) -> None:
        self.clock = TestClock()
        now = self.clock.now
        self.points = Points(Catalogue(), now)
        self.alarms = Alarms(self.points, self.clock, now)
        self.certificates = Certificates(self.points, self.alarms, self.clock, now)
        self.today = datetime.fromtimestamp(now(), UTC)

    def value(self, name: str) -> object:
        return self.points[f"gantry.{name}"].good

    @property
    def told(self) -> str:
        return next((a.en for a in self.alarms.active("gantry") if a.name == ALARM), "")


def test_the_days_are_those_of_the_first(tmp_path: Path) -> None:
    """Points have the least days of each side; the alarm begins 30 days before, and names all."""
    bench = Bench()
    bench.certificates.own = (
        ("a.pem", bench.today + timedelta(days=400)),
        ("b.pem", bench.today + timedelta(days=30.5)),
    )
    bench.certificates.start()
    assert (bench.value("own_certificate_days"), bench.told) == (30.5, "")
    assert bench.value("peer_certificate_days") is None
    bench.certificates.seen("platform.example", bench.today + timedelta(days=60))
    bench.clock.advance(1)
    assert bench.value("peer_certificate_days") == 60.0
    for _ in range(24):
        bench.clock.advance(3600)
    assert (bench.value("own_certificate_days"), bench.value("peer_certificate_days")) == (29.5, 59)
    assert "b.pem on " in bench.told
    assert "platform.example" not in bench.told
    bench.certificates.seen("ems.example", bench.today - DAY)
    bench.clock.advance(1)
    assert bench.value("peer_certificate_days") == -2.0
    assert bench.told.index("ems.example") < bench.told.index("b.pem")
    bench.certificates.stop()
    bench.alarms.stop()
    assert bench.clock.getDelayedCalls() == []


def test_a_renewed_certificate_ends_the_alarm() -> None:
    """The last certificate of a host counts; a host that is not met any more is forgotten."""
    bench = Bench()
    bench.certificates.start()
    bench.certificates.seen("a", bench.today + 5 * DAY)
    bench.clock.advance(1)
    assert "a on " in bench.told
    bench.certificates.seen("a", bench.today + 90 * DAY)
    bench.clock.advance(1)
    assert bench.told == ""
    bench.certificates.seen("b", bench.today + 5 * DAY)
    bench.clock.advance(1)
    assert "b on " in bench.told
    bench.clock.advance(KEPT_S + 3600)
    assert bench.told == ""
    bench.certificates.stop()
    bench.alarms.stop()


@pytest.mark.parametrize("place", ["device", "uplink", "tls", "web", "mqtt", "nut"])
def test_ours_are_found_wherever_they_are(tmp_path: Path, place: str) -> None:
    """Client certificates of all, of devices and uplinks and bridges, and those of listeners."""
    Authority().sign("DNS:gantry").write(tmp_path, "own")
    keys = 'client_cert = "own.pem"\nclient_key = "own.key"\n'
    text = '[gantry]\nid = "G1"\n'
    text += {
        "nut": '[bridge.nut]\ncertificate = "own.pem"\nkey = "own.key"\n',
        "mqtt": f'[bridge.mqtt]\naddress = "ssl:h:8883"\n{keys}',
        "device": f'[[device]]\nname = "c"\nkind = "cfos"\nurl = "https://h"\n{keys}',
        "uplink": f'[uplink.etc]\nurl = "https://h/monitor.do"\nauth = "x"\n{keys}',
        "tls": f"[tls]\n{keys}",
        "web": ('[web]\nlisten = "ssl:1:interface=127.0.0.1:privateKey=own.key:certKey=own.pem"\n'),
    }[place]
    [(path, expires)] = own_certificates(load(text, folder=tmp_path))
    assert path == str(tmp_path / "own.pem")
    assert 88 < (expires - datetime.now(UTC)).days < 91
