"""The alarm about listeners whose connections are crowded."""

from tests.support import Bench
from twisted_gantry.daemon.parts import CROWDED
from twisted_gantry.daemon.passing import QUIET_S, PassingAlarm


def test_the_alarm_names_who_crowds() -> None:
    """It is raised at the first closed connection, names a few, and ends after a quiet minute."""
    bench = Bench()
    crowded = PassingAlarm(bench.alarms, bench.clock, *CROWDED)
    monitor, web = crowded.at("monitor"), crowded.at("web")
    for _ in range(1000):
        monitor("192.0.2.66")
    web("192.0.2.67")
    (alarm,) = bench.alarms.active("gantry")
    assert alarm.name == "gantry.crowded"
    assert alarm.en.endswith("(monitor: 192.0.2.66, web: 192.0.2.67)")
    assert "monitor: 192.0.2.66" in alarm.zh
    for number in range(100):
        web(f"198.51.100.{number}")
    assert bench.alarms.active("gantry")[0].en.count("web") <= 4
    bench.clock.advance(QUIET_S / 2)
    monitor("192.0.2.66")
    bench.clock.advance(QUIET_S / 2)
    assert bench.alarms.active("gantry")[0].en.endswith("(monitor: 192.0.2.66)")
    bench.clock.advance(QUIET_S / 2)
    assert bench.raised() == set()
    assert bench.clock.getDelayedCalls() == []
    web("192.0.2.67")
    assert bench.raised() == {"gantry.crowded"}
    crowded.stop()
    assert bench.clock.getDelayedCalls() == []
