"""What the API tells of a small site with two UPSes, for the SNMP agent."""

from typing import Any

from twisted_gantry.ctl.snmp.snapshot import Snapshot
from twisted_gantry.wire.local_api import AlarmView, Device, PointView, SiteView

NOW = 1_790_000_000.0
RAISED = "2026-09-21T22:13:00.000+08:00"  # 20 s before NOW
VALUES: dict[str, Any] = {
    "mains_abnormal": False,
    "battery_low": False,
    "state": "line",
    "output_off": False,
    "manufacturer": "Sunshine",
    "model": "山特 C10KS",
    "phases": "3/1",
    "input_voltage_r": 219.6,
    "input_voltage_s": 220.4,
    "input_voltage_t": 221.0,
    "input_frequency": 50.02,
    "output_voltage_r": 220.0,
    "output_current_r": 4.56,
    "load_r": 230.0,
    "battery_runtime": 3599.0,
    "battery_charge": 97.6,
    "battery_voltage": 217.84,
    "self_test": "good",
    "buzzer_muted": True,
    "rated_frequency": 50.0,
    "rated_power": 10_000.0,
    "nominal_voltage": 220.0,
}


def point(name: str, value: Any, quality: str = "good") -> PointView:
    return PointView(name, value, "V" if "voltage" in name else None, quality, RAISED)


def alarm(name: str, severity: str = "critical", **more: Any) -> AlarmView:
    given: dict[str, Any] = {"message": f"{name} holds", "message_zh": "告警", "raised_at": RAISED}
    return AlarmView(name, name.partition(".")[0], severity, **{**given, **more})


def snapshot(*alarms: AlarmView, quality: str = "good", **differs: Any) -> Snapshot:
    """Return a look at the site; `differs` and `quality` are those of the points of `ups1`."""
    points = {f"ups1.{n}": point(f"ups1.{n}", v, quality) for n, v in (VALUES | differs).items()}
    for name in ("mains_abnormal", "battery_low"):
        points[f"ups2.{name}"] = point(f"ups2.{name}", value=False)
    points["meter.mains_abnormal"] = point("meter.mains_abnormal", value=False)
    devices = [Device(name, "ups-card", "online") for name in ("ups2", "ups1", "meter")]
    site = SiteView(gantry_id="G1", version="1", devices=devices, uplinks=[], started_at=RAISED)
    return Snapshot(NOW, site, points, tuple(alarms))
