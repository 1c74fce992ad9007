"""Battery tests of a cabinet, their results, and the state of its supply.

Source: the ETC document, sections 3.2.2 and 3.2.3; decisions: `docs/protocols/etc-gantry.md`, cmd 8
to cmd 10.
"""

import math
from collections.abc import Iterator
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from twisted_gantry.core.interfaces import BatteryTest, IBatteryRecorder, IBatteryTester, NotTold
from twisted_gantry.core.site import Cabinet, Site
from twisted_gantry.web.remotecontrol.wish import CannotDo, Wish, device_of
from twisted_gantry.wire.etc.commands import BatteryTestResult, decode_battery_result
from twisted_gantry.wire.etc.envelope import Sentinel, local_time, number
from twisted_gantry.wire.reading import Value

MIN_CHARGE = 80.0  # percent; a battery with less is neither tested nor relied on

# `testResult` and `testEndCourse`.
_NO_RESULT, _GOOD, _SLIGHTLY, _BADLY = "1", "2", "3", "4"
_RESULTS = {"good": _GOOD, "failed": _BADLY}
_BADNESS = {_GOOD: 0, _NO_RESULT: 1, _SLIGHTLY: 2, _BADLY: 3}
_OTHER_CAUSE = 255
_NO_DATA, _NOT_SUPPORT = Sentinel.NO_DATA.value, Sentinel.NOT_SUPPORT.value


# -- tests


def test_wishes(site: Site, cabinet: Cabinet, *, start: bool) -> list[Wish]:
    """Return the commands that start or stop the battery tests of a cabinet. Raises CannotDo when
    one of its devices cannot, or must not now.
    """
    wishes = []
    for name in _batteries(site, cabinet):
        device: Any = site.devices[name]
        if start:
            is_tester = IBatteryTester.providedBy(device)
            if device.why_not_test() if is_tester else not supply_is_good(site, cabinet):
                raise CannotDo(f"{name}：当前状态不允许电池测试")
        own = "T" if start else "stop-test"
        if own in device.commands:
            wishes.append(Wish(name, own, {}))
        elif "battery-test" in device.commands:
            wishes.append(Wish(name, "battery-test", {"testStartStop": "1" if start else "0"}))
        else:
            raise CannotDo(f"{name}：不支持{'启动' if start else '停止'}电池测试")
    return wishes


def _batteries(site: Site, cabinet: Cabinet) -> list[str]:
    names = dict.fromkeys(map(device_of, cabinet.sources.get("ups", ())))
    testers = [n for n in names if n in site.devices and IBatteryTester.providedBy(site.devices[n])]
    others = [n for n in site.door.able("battery-test", names) if n not in testers]
    return testers + others


# -- results


def batteries_to_ask(site: Site, cabinet: Cabinet) -> list[str]:
    """Return the devices that have a battery test result. Raises CannotDo if there is none."""
    names = _batteries(site, cabinet)
    if not names:
        raise CannotDo("本站没有可测试的电池")
    return names


async def battery_result(site: Site, cabinet: Cabinet) -> BatteryTestResult:
    """Return the last test result of the cabinet's worst battery. Raises CannotDo."""
    zone = ZoneInfo(site.timezone)
    results = [await _last(site, name, zone) for name in batteries_to_ask(site, cabinet)]
    return max(results, key=_badness)


async def _last(site: Site, name: str, zone: tzinfo) -> BatteryTestResult:
    device = site.devices[name]
    if IBatteryTester.providedBy(device):
        return _written(device.battery_test, zone)
    if not IBatteryRecorder.providedBy(device):
        return _written(None, zone)
    try:
        return decode_battery_result(await device.battery_test_result())
    except NotTold:
        raise CannotDo(f"{name}：无法读取电池测试结果") from None


def _badness(result: BatteryTestResult) -> tuple[int, float]:
    """Rank a result: badly abnormal, slightly abnormal, unknown, good; then the shorter test."""
    try:
        lasted = float(result.discharge_time)
    except ValueError:
        lasted = math.inf  # no test
    return _BADNESS.get(result.test_result, 1), -lasted


def _written(test: BatteryTest | None, zone: tzinfo) -> BatteryTestResult:
    if test is None or test.ended is None:  # no test yet, or it runs
        return BatteryTestResult(_NO_DATA, _NO_RESULT, *[_NO_DATA] * 7)
    volts = test.end_voltage
    return BatteryTestResult(
        test_start_time=local_time(test.started, zone),
        test_result=_RESULTS.get(test.result, _NO_RESULT),
        efficiency=_NOT_SUPPORT,
        discharge_time=number(max(0.0, test.ended - test.started) / 3600),
        discharge_end_voltage=_NO_DATA if volts is None else number(volts),
        discharge_av_current=_NOT_SUPPORT,
        discharge_ah_current=_NOT_SUPPORT,
        test_temperature=_NOT_SUPPORT,
        test_end_course=str(test.end_cause or _OTHER_CAUSE),
    )


# -- the supply


def supply_is_good(site: Site, cabinet: Cabinet) -> bool:
    """Tell whether mains and batteries are good; a missing value counts as bad."""
    mains, batteries = list(_mains(site, cabinet)), list(_charged(site, cabinet))
    return bool(mains and batteries) and all(mains + batteries)


def _mains(site: Site, cabinet: Cabinet) -> Iterator[bool]:
    """Yield for each reading of the mains whether it is good."""
    for source in _sources(cabinet, "elec", "ups"):
        abnormal = site.points.get(f"{source}.mains_abnormal")
        if abnormal is not None:
            yield abnormal.good is False
    # A cabinet below us has the fields of the report.
    for source in _sources(cabinet, "elec", "rectifier"):
        for point in site.points.under(f"{source}.elec."):
            if point.name.endswith(".status"):
                yield _is_one(point.good)


def _charged(site: Site, cabinet: Cabinet) -> Iterator[bool]:
    """Yield for each reading of the batteries, that of the rectifiers too, whether it is good."""
    for source in _sources(cabinet, "ups", "rectifier"):
        for name in ("battery_low", "battery_charge", "self_test"):
            point = site.points.get(f"{source}.{name}")
            if point is not None:
                yield _good_sign(name, point.good)
        for point in site.points.under(f"{source}.ups."):
            name = point.name.rpartition(".")[2]
            if name in {"status", "power_rate", "running_state"}:
                yield _good_sign(name, point.good)


def _good_sign(name: str, value: Value) -> bool:
    if name == "battery_low":
        return value is False
    if name == "self_test":
        return value in {"good", "unknown"}
    if name == "status":
        return _is_one(value)
    if name == "running_state":
        return value not in {"discharging", "testing"}
    try:
        return value is not None and float(value) >= MIN_CHARGE
    except ValueError:
        return False


def _is_one(value: Value) -> bool:
    return value is True or value in {"1", 1}


def _sources(cabinet: Cabinet, *groups: str) -> list[str]:
    return list(dict.fromkeys(s for group in groups for s in cabinet.sources.get(group, ())))
